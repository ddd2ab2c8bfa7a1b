// A chat with the AI SDK's `useChat`, which keeps its messages and continues after a reload.

import { useChat } from '@ai-sdk/react'
import { DefaultChatTransport } from 'ai'
import { useEffect } from 'react'
import { createRoot } from 'react-dom/client'

const kept = JSON.parse(localStorage.getItem('messages') ?? '[]')
const transport = new DefaultChatTransport({ api: '/api/chat' })
const id = 'page'

function Page() {
  const { messages, sendMessage, status, error } = useChat({ id, messages: kept, resume: true, transport })
  useEffect(() => localStorage.setItem('messages', JSON.stringify(messages)), [messages])
  const submit = (event) => {
    event.preventDefault()
    void sendMessage({ text: new FormData(event.target).get('prompt') })
  }
  const text = ({ parts }) => parts.filter(({ type }) => type === 'text').map((part) => part.text).join('')
  return (
    <form onSubmit={submit}>
      {messages.map((message) => <pre key={message.id} data-role={message.role}>{text(message)}</pre>)}
      <output>{error ? error.message : status}</output>
      <input name="prompt" />
      <button type="button" onClick={() => fetch(`/api/chat/${id}/stop`, { method: 'POST' })}>stop</button>
    </form>
  )
}

createRoot(document.querySelector('main')).render(<Page />)
