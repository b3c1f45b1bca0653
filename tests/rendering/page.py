"""Opens a hostile page in Chromium, as it is and with each of its two defences alone, and sees what it asks for."""

import http.server
import pathlib
import re
import subprocess
import sys
import threading

work = pathlib.Path(sys.argv[1])
hostile = (work / "hostile.html").read_text()
policy = (work / "policy").read_text()
declared = '<meta http-equiv="Content-Security-Policy"'
assert declared in hostile
unguarded = re.sub(declared + '[^>]*>', "", hostile)
RUNS = (
    "<!DOCTYPE html><title>page</title><script>document.title = 'ran'; fetch('/ran')</script>"
    "<img src=/ran><iframe srcdoc='<script>fetch(\"/ran\")</script>'></iframe>"
)

# Path: the page, the policy of its header, and whether something of it may run.
pages = {
    "/as-it-is": (hostile, policy, False),
    "/escapes-alone": (unguarded, None, False),
    "/policy-alone": (RUNS, policy, False),
    "/nothing": (RUNS, None, True),
}
asked = []


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        page, said, _ = pages.get(self.path, ("", None, False))
        self.send_response(200 if page else 404)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("x-content-type-options", "nosniff")
        if said:
            self.send_header("content-security-policy", said)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
wrong = []
for path, (_, _, runs) in pages.items():
    asked.clear()
    shown = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--disable-dev-shm-usage",
            f"--user-data-dir={work}/chromium", "--virtual-time-budget=3000", "--dump-dom",
            f"http://127.0.0.1:{server.server_port}{path}",
        ],
        capture_output=True, text=True, timeout=50,
    ).stdout
    ran = "/ran" in asked or "<title>ran</title>" in shown
    whole = path in asked and len(shown) > len(pages[path][0]) / 2
    if ran != runs or not whole:
        wrong.append(f"{path}: {'something' if ran else 'nothing'} ran, {len(shown)} characters; asked for {asked}")
print("\n".join(wrong) or f"{len(pages)} pages, {len(hostile)} characters of a report")
sys.exit(1 if wrong else 0)
