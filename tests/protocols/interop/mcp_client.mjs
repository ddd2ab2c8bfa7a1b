// The published JavaScript clients of MCP call the agent: mcp_client.mjs URL PACKAGE GENERATION.
//
// PACKAGE is `sdk`, the first package, or `client`, its successor. GENERATION is `legacy`, which
// sends initialize, or a version without it. Prints the result of each call as JSON.

import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [url, name, generation] = process.argv.slice(2);
const modules = createRequire(
  path.join(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES, "from-here.js"),
);
const load = (id) => import(pathToFileURL(modules.resolve(id)));

const TOOL = "protocol-tests";

async function connected() {
  const info = { name: "interop", version: "1" };
  if (name === "sdk") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load(
      "@modelcontextprotocol/sdk/client/streamableHttp.js",
    );
    const client = new Client(info);
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const mode = generation === "legacy" ? "legacy" : { pin: generation };
  const client = new Client(info, {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode },
  });
  client.setRequestHandler("elicitation/create", async () => ({
    action: "accept",
    content: { approved: true },
  }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

const client = await connected();

function request(prompt, options) {
  const call = { name: TOOL, arguments: { prompt } };
  return name === "sdk" ? client.callTool(call, undefined, options) : client.callTool(call, options);
}

async function call(prompt) {
  const messages = [];
  const onprogress = ({ message }) => messages.push(message);
  const result = await request(prompt, { onprogress });
  return {
    text: result.content.map((block) => block.text),
    structured: result.structuredContent ?? null,
    is_error: result.isError ?? false,
    messages,
  };
}

/** Cancels a call once it has begun, and waits until the agent has dropped it. */
async function cancel() {
  const count = async () => (await call("cancelled")).text[0];
  const before = await count();
  const stop = new AbortController();
  const onprogress = () => stop.abort();
  await request("hang", { onprogress, signal: stop.signal }).catch(() => {});
  for (let attempt = 0; attempt < 3000; attempt++) {
    if ((await count()) !== before) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

async function unknown() {
  try {
    await client.callTool({ name: "other", arguments: {} });
  } catch (error) {
    return error.code;
  }
}

const { tools } = await client.listTools();
const outcome = {
  version: client.getNegotiatedProtocolVersion?.() ?? client.transport.protocolVersion,
  server: client.getServerVersion().name,
  tools: tools.map((tool) => tool.name),
  unknown: await unknown(),
  value: await call("value"),
  stream: await call("hello"),
  weather: await call("weather"),
  fail_first: await call("fail-first"),
  fail_later: await call("fail-later"),
  many: (await call("many 10000")).messages.length,
  interrupt: await call("approve"),
  concurrent: (await Promise.all(Array.from({ length: 200 }, () => call("hello")))).length,
  // A call without progress that takes longer than the agent's heartbeat interval.
  slow: (await request("late 700 value")).structuredContent,
  cancelled: await cancel(),
};
await client.close();
console.log(JSON.stringify(outcome));
