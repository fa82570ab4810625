// A page of a disk may start no Worker in Chromium: there the search runs in a hidden frame, which does the same.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = this.onerror = null
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inner = frame.contentWindow
      const load = (source) => new Promise((resolve, reject) => {
        const script = inner.document.createElement("script")
        script.onload = resolve
        script.onerror = reject
        script.src = source
        inner.document.body.append(script)
      })
      // What the worker says is an event here, what is said to it is one there.
      const tell = (target, kind, data) => target.dispatchEvent(new kind("message", { data }))
      inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        this.onmessage?.(event)
      }
      inner.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve())
      inner.addEventListener("message", (event) => inner.onmessage?.(event))
      const ready = load(new URL(url, document.baseURI).href)
      this.postMessage = (data) => ready.then(() => tell(inner, inner.MessageEvent, data))
      this.terminate = () => frame.remove()
    }
  }
}
