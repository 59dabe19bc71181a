"""The Lambda Runtime API as a function sees it, one invocation at a time.

Source: "Using the Lambda runtime API for custom runtimes" in the developer guide of AWS Lambda.
"""

import json
import os
import queue
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Function:
    """A built function, started as Lambda starts it, and stopped by `close`."""

    def __init__(self, command, environment, log):
        self.events, self.answers = queue.Queue(), queue.Queue()
        function = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                function.answers.put(("next", None))
                event = function.events.get()
                if event is None:
                    return
                self.send_response(200)
                self.send_header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("lambda-runtime-deadline-ms", str(int((time.time() + 30) * 1000)))
                self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:f")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(event)))
                self.end_headers()
                self.wfile.write(event)

            def do_POST(self):
                length = self.headers.get("content-length")
                body = self.rfile.read(int(length)) if length is not None else self.chunks()
                kind = "response" if self.path.endswith("/response") else "error"
                function.answers.put((kind, body))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def chunks(self):
                body = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_LOG_GROUP_NAME": "f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "f",
            **environment,
        }
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)

    def ready(self):
        """Waits for the first /next; fails with the function's error if it sends one instead."""
        kind, body = self.answers.get(timeout=60)
        assert kind == "next", body

    def invoke(self, event):
        """Invokes the function with an event, and returns its answer."""
        self.events.put(json.dumps(event).encode())
        kind, body = self.answers.get(timeout=60)
        assert kind == "response", body
        assert self.answers.get(timeout=60)[0] == "next"
        return json.loads(body)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.events.put(None)
        self.server.shutdown()
        said = Path(self.log.name).read_text()
        assert "planted-5ecret" not in said, f"the log shows a secret: {said}"
        self.server.server_close()
        self.log.close()
