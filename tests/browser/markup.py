"""Names that a page would run if it took them for markup: each sets `window.hacked`, or has something loaded."""

from __future__ import annotations

__all__ = ["MARKUP"]

_RUN = "window.hacked=1"

#: None of them holds a slash but where a closing tag needs one, and none is too long for a file name.
MARKUP = (
    f"<img src=x onerror={_RUN}>",
    f"</script><script>{_RUN}</script>",
    f"<svg onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f'" onmouseover="{_RUN}" x="',
    f"' onfocus='{_RUN}' autofocus x='",
    f"` onclick=`{_RUN}`",
    f"javascript:{_RUN}",
    f"<a href=javascript:{_RUN}>a</a>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'>",
    f"<iframe src=javascript:parent.{_RUN}>",
    f"<body onload={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<audio src=x onerror={_RUN}>",
    f"<object data=javascript:{_RUN}>",
    f"<embed src=javascript:{_RUN}>",
    "<base href=http:evil.invalid>",
    "<link rel=stylesheet href=http:evil.invalid>",
    "<meta http-equiv=refresh content=0;url=http:evil.invalid>",
    f"<style>@import 'http:evil.invalid';</style><b style=animation-name:x onanimationstart={_RUN}>",
    f"<form><button formaction=javascript:{_RUN}>b</button></form>",
    f"<math href=javascript:{_RUN}>m</math>",
    f"<template><script>{_RUN}</script></template>",
    f"<!--<script>{_RUN}--><script>{_RUN}</script>",
    f"]]><script>{_RUN}</script>",
    f"&lt;img src=x onerror={_RUN}&gt;&#60;script&#62;",
    f"${{{_RUN}}}{{{{{_RUN}}}}}",
    f"\u2028{_RUN}\u2029<\u0130mg src=x onerror={_RUN}>",
    "__proto__",
    f"=cmd|'{_RUN}'!A1",
)
