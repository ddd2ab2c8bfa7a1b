// Uses an agent's WebSocket with the published npm package `ws`, and prints the results as JSON.
//
// `websocket_client.mjs URL SCENARIO NODE_MODULES`; the agent is `examples/websocket`.

import { createRequire } from "node:module";

const [url, scenario, modules] = process.argv.slice(2);
const { WebSocket } = createRequire(`${modules}/`)("ws");

const opened = (options) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.messages = [];
    socket.waiting = [];
    socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const next = socket.waiting.shift();
      next ? next(message) : socket.messages.push(message);
    });
    socket.ended = new Promise((end) =>
      socket.on("close", (code, reason) => end({ code, reason: reason.toString() })),
    );
    socket.on("open", () => resolve(socket));
    socket.on("unexpected-response", (_, response) => reject(response.statusCode));
    socket.on("error", reject);
  });

const receive = (socket) =>
  socket.messages.length > 0
    ? socket.messages.shift()
    : new Promise((resolve) => socket.waiting.push(resolve));

const chat = async (socket, text) => {
  socket.send(text);
  const words = [];
  for (;;) {
    const message = JSON.parse(await receive(socket));
    if ("done" in message) return words;
    words.push(message.delta);
  }
};

const scenarios = {
  async value() {
    const socket = await opened();
    socket.send(Buffer.alloc(2000, 255));
    const echo = (await receive(socket)).length;
    const words = await chat(socket, "one two");
    socket.close(1000);
    return { echo, words, ...(await socket.ended) };
  },
  async many() {
    return (await chat(await opened(), "w ".repeat(5000))).length;
  },
  async at_once() {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => opened()));
    const answers = await Promise.all(sockets.map((socket, n) => chat(socket, `number ${n}`)));
    sockets.forEach((socket) => socket.close());
    await Promise.all(sockets.map((socket) => socket.ended));
    return answers.filter((words, n) => words[1] === String(n)).length;
  },
  async large_frame() {
    const socket = await opened();
    socket.send(Buffer.alloc(64 * 1024));
    const fits = (await receive(socket)).length;
    socket.send(Buffer.alloc(64 * 1024 + 1));
    return { fits, ...(await socket.ended) };
  },
  async fragments() {
    const socket = await opened();
    for (let part = 0; part < 10; part += 1) {
      socket.send(Buffer.alloc(50_000), { binary: true, fin: part === 9 });
    }
    return (await receive(socket)).length;
  },
  async not_utf8() {
    const socket = await opened();
    socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    return socket.ended;
  },
  async ping() {
    const socket = await opened();
    let pongs = 0;
    await new Promise((resolve) => {
      socket.on("pong", () => (pongs += 1) === 50 && resolve());
      for (let number = 0; number < 50; number += 1) socket.ping(String(number));
    });
    return pongs;
  },
  async closes() {
    const socket = await opened();
    socket.send("bye");
    return socket.ended;
  },
  async foreign_page() {
    return opened({ origin: "https://evil.example" }).catch((status) => status);
  },
  async drain() {
    const socket = await opened();
    await chat(socket, "before");
    console.log("open");
    return socket.ended;
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(0);
