"""How both programs begin to listen, and how they say that they cannot.

Wrong addresses and forbidden ports are the operator's settings; a taken port is another
program's. Each error names the key to change.
"""

import errno

from aiohttp import web

from sync.errors import BusyError, SettingsError


async def listen(runner: web.AppRunner, host: str, port: int, table: str) -> str:
    """Listen at `host`:`port` and return the address as a URL; port 0 takes any free one.

    `table` names the configuration table of both keys. Raises BusyError, SettingsError.
    """
    try:
        await web.TCPSite(runner, host, port).start()
    except UnicodeError as error:
        raise SettingsError(
            f"cannot listen on {host!r}: {error}", hint=f"set {table}.host to an address"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BusyError(
                f"port {port} of {host} is taken",
                hint=f"stop the other program or set {table}.port",
            ) from error
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"set {table}.host to an address of this machine, {table}.port to one above 1023",
        ) from error
    bound = runner.addresses[0]
    return f"http://{bound[0]}:{bound[1]}"
