// A chat with AG-UI's `HttpAgent`, which keeps the input of its run and continues after a reload.

import { HttpAgent } from '@ag-ui/client'
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'

function Page() {
  const [messages, setMessages] = useState([])
  const [status, setStatus] = useState('ready')

  async function run(input) {
    localStorage.setItem('run', JSON.stringify(input))
    setStatus('streaming')
    const { threadId, runId } = input
    const agent = new HttpAgent({ url: '/ag-ui', threadId, initialMessages: input.messages })
    await agent.runAgent({ runId }, { onMessagesChanged: ({ messages }) => setMessages(structuredClone(messages)) })
    localStorage.removeItem('run')
    setStatus('ready')
  }

  useEffect(() => {
    const kept = localStorage.getItem('run')
    if (kept) void run(JSON.parse(kept))
  }, [])
  const submit = (event) => {
    event.preventDefault()
    const content = new FormData(event.target).get('prompt')
    const messages = [{ id: crypto.randomUUID(), role: 'user', content }]
    void run({ threadId: 'page', runId: crypto.randomUUID(), messages })
  }
  return (
    <form onSubmit={submit}>
      {messages.map((message) => <pre key={message.id} data-role={message.role}>{message.content}</pre>)}
      <output>{status}</output>
      <input name="prompt" />
    </form>
  )
}

createRoot(document.querySelector('main')).render(<Page />)
