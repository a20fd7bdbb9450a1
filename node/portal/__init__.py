"""The portal: what a pupil sees on a phone. Server-rendered, whole without JavaScript.

`app.build_portal(services)` is the way in.
"""
