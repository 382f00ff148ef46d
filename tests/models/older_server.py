"""A chat server around `two_families.Older`, run by an interpreter that can load it.

Run as a script: `older_server.py --port N`.
"""

import argparse
import base64
import http.server
import json

from two_families import Older

MODEL = Older("served")


class Chat(http.server.BaseHTTPRequestHandler):
    """Answers `/v1/chat/completions` about the request's pictures."""

    def do_GET(self) -> None:
        self._reply(b"{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = asked["messages"][-1]["content"]
        links = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        images = [base64.b64decode(link.partition(",")[2]) for link in links]
        words = MODEL.reply("", "", images, 0)[0]
        choice = {"message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
        self._reply(json.dumps({"choices": [choice]}).encode())

    def _reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    http.server.HTTPServer(("127.0.0.1", parser.parse_args().port), Chat).serve_forever()
