// Drives the local platform with the published JavaScript SDK `e2b`, unpatched.
//
// The package is loaded from the folder in PPIO_INTEROP_NODE_MODULES if that variable is set, and
// otherwise as an import of this file. The platform is found through the variables that it prints.
// Exits non-zero, with a stack trace, on the first difference.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

const modules = process.env.PPIO_INTEROP_NODE_MODULES
const load = createRequire(modules ? path.join(path.resolve(modules), 'script.js') : import.meta.url)
const { Sandbox, CommandExitError, NotFoundError, TimeoutError, Template } = load('e2b')

async function waitUntil(condition, what, seconds = 10) {
  const deadline = Date.now() + seconds * 1000
  while (Date.now() < deadline) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`not within ${seconds} s: ${what}`)
}

async function commands(sandbox) {
  const pieces = []
  const result = await sandbox.commands.run('for i in 1 2 3; do echo $i; sleep 0.1; done; echo err >&2', {
    onStdout: (piece) => pieces.push(piece),
  })
  assert.equal(result.stdout, '1\n2\n3\n')
  assert.equal(result.stderr, 'err\n')
  assert.equal(pieces.length, 3)
  assert.equal((await sandbox.commands.run('echo $FROM_CREATE')).stdout, 'yes\n')
  await assert.rejects(sandbox.commands.run('exit 7'), (error) => error instanceof CommandExitError && error.exitCode === 7)
  await assert.rejects(sandbox.commands.run('sleep 30', { timeoutMs: 1000 }), TimeoutError)

  const background = await sandbox.commands.run('sleep 60', { background: true })
  assert.ok((await sandbox.commands.list()).some((process) => process.pid === background.pid))
  assert.ok(await sandbox.commands.kill(background.pid))
  const reader = await sandbox.commands.run('read line; echo got $line', { background: true, stdin: true })
  await sandbox.commands.sendStdin(reader.pid, 'a word\n')
  assert.equal((await reader.wait()).stdout, 'got a word\n')
}

async function terminal(sandbox) {
  let output = ''
  const decoder = new TextDecoder()
  const pty = await sandbox.pty.create({ cols: 90, rows: 30, onData: (data) => (output += decoder.decode(data)) })
  await sandbox.pty.sendInput(pty.pid, new TextEncoder().encode('stty size\n'))
  await waitUntil(() => output.includes('30 90'), `size of the terminal in ${JSON.stringify(output)}`)
  await sandbox.pty.resize(pty.pid, { cols: 100, rows: 40 })
  await sandbox.pty.sendInput(pty.pid, new TextEncoder().encode('stty size; exit\n'))
  await waitUntil(() => output.includes('40 100'), `new size of the terminal in ${JSON.stringify(output)}`)
  await pty.wait()
}

async function files(sandbox) {
  const info = await sandbox.files.write('notes/one.txt', 'first')
  assert.equal(info.path, '/home/user/notes/one.txt')
  assert.equal(await sandbox.files.read('notes/one.txt'), 'first')
  await sandbox.files.write([
    { path: 'many/a', data: 'a' },
    { path: 'many/b', data: 'b' },
  ])
  assert.deepEqual((await sandbox.files.list('many')).map((entry) => entry.name), ['a', 'b'])
  assert.equal((await sandbox.files.rename('many/a', 'many/c')).path, '/home/user/many/c')
  assert.equal(await sandbox.files.makeDir('deep/er'), true)
  await sandbox.files.remove('deep')
  assert.equal(await sandbox.files.exists('deep'), false)
  await assert.rejects(sandbox.files.read('nothing'), NotFoundError)

  const seen = []
  const watch = await sandbox.files.watchDir('notes', (event) => seen.push(`${event.type} ${event.name}`))
  await sandbox.files.write('notes/two.txt', 'second')
  await waitUntil(() => seen.some((event) => event.endsWith('two.txt')), 'watch event')
  await watch.stop()
}

async function life(sandbox) {
  await sandbox.setTimeout(600_000)
  const info = await sandbox.getInfo()
  assert.equal(info.sandboxId, sandbox.sandboxId)
  assert.ok(info.endAt.getTime() - Date.now() > 500_000)
  await (sandbox.pause ?? sandbox.betaPause).call(sandbox)
  assert.equal(await sandbox.isRunning(), false)
  const resumed = await Sandbox.connect(sandbox.sandboxId)
  assert.equal(await resumed.isRunning(), true)
  assert.equal(await resumed.files.read('notes/one.txt'), 'first')
  const listed = await Sandbox.list({ query: { metadata: { purpose: 'interop js' } } }).nextItems()
  assert.deepEqual(listed.map((item) => item.sandboxId), [sandbox.sandboxId])
}

async function templates() {
  const template = Template().fromBaseImage().setEnvs({ MOOD: 'good' }).runCmd('echo built > /home/user/built')
  await Template.build(template, { alias: 'interop-node', cpuCount: 1, memoryMB: 512 })
  const sandbox = await Sandbox.create('interop-node', { timeoutMs: 60_000 })
  assert.equal((await sandbox.commands.run('cat built; echo $MOOD')).stdout, 'built\ngood\n')
  await sandbox.kill()
}

const sandbox = await Sandbox.create({ timeoutMs: 120_000, metadata: { purpose: 'interop js' }, envs: { FROM_CREATE: 'yes' } })
try {
  for (const check of [commands, terminal, files, life]) {
    await check(sandbox)
    console.log(`e2b (JavaScript): ${check.name} ok`)
  }
} finally {
  assert.equal(await sandbox.kill(), true)
}
await templates()
console.log('e2b (JavaScript): templates ok')
