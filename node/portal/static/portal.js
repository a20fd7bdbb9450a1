// Small helps in ES5, for phones of 2015. Every page is whole without them.
(function (d, w) {
  'use strict';
  var root = d.documentElement, news = d.getElementById('news'), voice = w.speechSynthesis;
  var button, label, left = [];
  function one(selector, page) { return (page || d).querySelector(selector); }

  // A cookie holds the language that ?idioma= chose: the address need not.
  var url = location.href.replace(/([?&])idioma=\w+&?/, '$1').replace(/[?&](#|$)/, '$1');
  if (url !== location.href) { history.replaceState(null, '', url); }

  // A new version of the library replaces <main>, unless something typed would be lost.
  function get(url, done) {
    var ask = new XMLHttpRequest();
    ask.onload = function () { if (ask.status === 200) { done(ask.responseText); } };
    ask.open('GET', url);
    ask.setRequestHeader('X-Chaski-Refresh', '1');
    ask.send();
  }
  function busy() {
    return one('main').getAttribute('data-live') === 'off' ||
      [].some.call(d.querySelectorAll('main input'), function (f) {
        return f.checked !== f.defaultChecked || f.value !== f.defaultValue;
      });
  }
  function replace(html) {
    var page = new DOMParser().parseFromString(html, 'text/html'), fresh = one('main', page);
    if (!fresh || busy()) { return; }
    hush();
    one('main').innerHTML = fresh.innerHTML;
    d.title = page.title;
    root.setAttribute('data-root', page.documentElement.getAttribute('data-root'));
    news.textContent = news.getAttribute('data-updated');
    offer();
  }
  function look() {
    if (d.hidden) { return; }
    get('/api/version', function (text) {
      var mark = (JSON.parse(text).root || '').slice(0, 12);
      if (mark === root.getAttribute('data-root')) { return; }
      if (busy()) { one('span', news).hidden = false; } else { get(location.href, replace); }
    });
  }
  setInterval(look, 15000);
  d.addEventListener('visibilitychange', look);

  // Read aloud, block by block.
  function mark(block) {
    var before = one('.now');
    if (before) { before.classList.remove('now'); }
    if (block) { block.classList.add('now'); }
  }
  function hush() {
    left = [];
    if (!button) { return; }
    voice.cancel();
    mark();
    button.textContent = label;
  }
  function next() {
    var block = left.shift(), said;
    if (!block) { return hush(); }
    said = new w.SpeechSynthesisUtterance((one('.say', block) || block).textContent);
    said.lang = button.getAttribute('data-voice');
    said.onend = next;
    mark(block);
    voice.speak(said);
  }
  function offer() {
    button = voice && d.getElementById('listen');
    if (!button) { return; }
    label = button.textContent;
    button.hidden = false;
    button.onclick = function () {
      if (button.textContent !== label) { return hush(); }
      left = [].slice.call(d.querySelectorAll('.b'));
      button.textContent = button.getAttribute('data-stop');
      next();
    };
  }
  offer();
  w.addEventListener('pagehide', hush);
})(document, window);
