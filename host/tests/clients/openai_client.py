"""OpenAI's own client for Python against a running server. Ends with an assertion where something is not as its users expect.

Environment: BASE, KEY (a ready server), SITE (its demo site), STARTING (a server whose browser is not up).
"""

import json
import os
import urllib.request

import openai

BASE, KEY, SITE = os.environ["BASE"], os.environ["KEY"], os.environ["SITE"]


def client(key=KEY, base=BASE, retries=0):
    return openai.OpenAI(api_key=key, base_url=f"{base}/v1", max_retries=retries, timeout=40)


def site(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SITE}{path}", data, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def prompts(mark):
    return sum(prompt["mark"] == mark for prompt in site("/stats")["prompts"]["list"])


def ask(content, model="demo/script", by=None, **options):
    messages = [{"role": "user", "content": content}]
    return (by or client()).chat.completions.create(model=model, messages=messages, **options)


def raises(kind, status, code, *args, **options):
    try:
        ask(*args, **options)
    except kind as error:
        assert type(error) is kind, type(error)
        assert (error.status_code, error.code) == (status, code), error
        return error
    raise AssertionError(f"{kind.__name__} was expected")


whole = ask("Hello, 你好", "demo/echo")
assert whole.choices[0].message.content == "Hello, 你好", whole
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0

chunks = list(ask("tokens=30 rate=200", stream=True, stream_options={"include_usage": True}))
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == " ".join(f"t{n}" for n in range(30)), text
assert chunks[-1].usage.completion_tokens > 0 and chunks[-2].choices[0].finish_reason == "stop"
assert len({chunk.id for chunk in chunks}) == 1

assert [model.id for model in client().models.list()][:2] == ["demo/echo", "demo/reasoner"]
assert client().models.retrieve("demo/echo").id == "demo/echo"

raises(openai.AuthenticationError, 401, "invalid_api_key", "x", by=client(key="wrong"))
raises(openai.PermissionDeniedError, 403, "login_required", "error=signed-out")
raises(openai.NotFoundError, 404, "model_not_found", "x", model="demo/none")
raises(openai.BadRequestError, 400, "content_policy_violation", "error=content-blocked")
raises(openai.InternalServerError, 503, "starting", "x", by=client(base=os.environ["STARTING"]))

# After the prompt was sent, no retry of the client's own sends it again.
for n, error in enumerate(["rate-limited", "quota", "server-error", "site-changed"]):
    for stream in (False, True):
        mark = f"python-{n}-{stream}"
        try:
            list(ask(f"error={error} mark={mark}", by=client(retries=3), stream=stream))
            raise AssertionError(error)
        except openai.APIStatusError as refused:
            assert refused.status_code == 424, refused
        assert prompts(mark) == 1, error
try:
    list(ask("error=in-stream after=3 rate=20 mark=python-broken", by=client(retries=3), stream=True))
    raise AssertionError("an error in mid-stream was expected")
except openai.APIError as broken:
    assert broken.code == "upstream_error", broken
assert prompts("python-broken") == 1

# A client whose patience ends asks again by itself; that is not a second message either.
impatient = openai.OpenAI(api_key=KEY, base_url=f"{BASE}/v1", max_retries=2, timeout=2)
try:
    ask("delay_ms=600000 mark=python-impatient", by=impatient)
    raise AssertionError("a refusal was expected")
except openai.APIStatusError as refused:
    assert (refused.status_code, refused.code) == (424, "already_submitted"), refused
assert prompts("python-impatient") == 1

# Before it was sent, the limit is a limit.
site("/control", {"state": "limit", "retry_after": 1})
try:
    ask("a page that was loaded before", "demo/echo")
except openai.APIStatusError:
    pass
raises(openai.RateLimitError, 429, "rate_limited", "mark=python-limit", by=client(retries=1))
assert prompts("python-limit") == 0
site("/control", {"state": "ok"})
print("ok")
