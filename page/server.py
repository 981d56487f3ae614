"""Serve gradio's page so that it neither loads nor sends anything beyond the address it has.

    blocks, Folder --serve--> Served: an address, until it is stopped

Gradio's own launch would ask its makers' servers and write their addresses into the page. Here its
application is mounted in one of ours, which answers only to its own name, takes out of the page
what points elsewhere, and by a content-security policy keeps the browser from following the rest.
"""

import re
import threading
import time
from pathlib import Path

import gradio
import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from system.files import BadInput

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
LARGEST = "256mb"           # of a file that is dropped
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
          "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
          "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; "
          "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'")
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer",
           "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}
PLACED = "<style>html:not(.placed) gradio-app { visibility: hidden }</style>"      # see page.js
ADVERTS = re.compile(r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*')
SAMPLES = re.compile(r"""https://[^"'\\]*gradio-app[^"'\\]*""")   # how programs may call a page
ICON = ("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
        "%3Crect width='16' height='16' rx='3' fill='%23a8323f'/%3E%3Cpath d='M3 6h10M3 10h6' "
        "stroke='%23fff' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E")


class Guard:
    """What every answer passes: headers that keep the browser here, and a page without adverts."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if "=http:" in scope["path"] or "=https:" in scope["path"]:     # gradio would fetch it
            return await PlainTextResponse("not here", 403)(scope, receive, send)
        page, start, body = scope["path"] == "/", None, b""
        if page:                        # uncompressed, so that it can be read
            scope["headers"] = [one for one in scope["headers"] if one[0] != b"accept-encoding"]

        async def guarded(message):
            nonlocal start, body
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *(
                    (name.encode(), value.encode()) for name, value in HEADERS.items())]
                if page:
                    start = message
                    return
            elif page:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = SAMPLES.sub("", ADVERTS.sub("", body.decode())).encode()
                start["headers"] = [one for one in start["headers"] if one[0] != b"content-length"
                                    ] + [(b"content-length", str(len(body)).encode())]
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self.app(scope, receive, guarded)


def application(blocks, folder, look, host):
    """Return the whole application: our pictures, gradio's page, and the guard before both.

    look: options of `mount_gradio_app`, as `page` of layout.py returns them.
    """
    app = FastAPI(openapi_url=None)

    @app.get("/made/{token}/{name}")
    def made(token: str, name: str):
        path = folder.find(token, name)
        return FileResponse(path) if path else PlainTextResponse("not here", 404)

    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    app = gradio.mount_gradio_app(
        app, blocks, path="/", server_name=host, footer_links=[], run_history=False, ssr_mode=False,
        enable_monitoring=False, mcp_server=False, pwa=False, max_file_size=LARGEST, **look,
        css=style, head=f'<link rel="icon" href="{ICON}">\n{PLACED}\n<script>{script}</script>',
        allowed_paths=[], blocked_paths=[], show_error=True)
    # gradio looks whether a file was dropped, or is anyone's, only in what it launched itself
    blocks.has_launched = True
    app.add_middleware(Guard)
    if host in LOOPBACK:                # a page elsewhere cannot have its own name lead here
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    return app


class Served:
    """A server of a socket, in a thread of its own, at `url`; it ends with the process."""

    def __init__(self, app, socket):
        host, number, *_ = socket.getsockname()
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.url = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        self.thread = threading.Thread(target=self.server.run, args=([socket],), daemon=True)

    def start(self):
        """Return once the page can be asked for."""
        self.thread.start()
        while not self.server.started:
            if not self.thread.is_alive():
                raise BadInput("the page's server ended before it began: see what it wrote above")
            time.sleep(0.02)
