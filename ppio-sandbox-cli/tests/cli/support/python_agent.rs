//! An agent in Python without packages.

/// Returns the program of the agent. `reply` is a Python expression for the answer, which may use
/// `request`, the `modules`, `json` and `os`.
pub(crate) fn python_agent(modules: &[&str], reply: &str) -> String {
    let modules = [&["json", "os"], modules].concat().join(", ");
    format!(
        r#"
import {modules}
from http.server import BaseHTTPRequestHandler, HTTPServer

class Agent(BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({{"status": "Healthy"}})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({reply})

port = int(os.environ.get("PPIO_AGENT_PORT", "8080"))
HTTPServer(("127.0.0.1", port), Agent).serve_forever()
"#
    )
}
