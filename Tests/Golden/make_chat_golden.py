"""Writes chat.expected.json: templates and conversations with the texts that `transformers` makes of them.

    python3 make_chat_golden.py

The templates are ours; the pieces of Jinja's language are drawn by Benchmarks/peer/chat.py. `null` stands for what
`transformers` refuses.
"""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "Benchmarks/peer"))
import chat  # noqa: E402

TEMPLATES = {
    "plain": "{% for m in messages %}<|{{ m.role }}|>\n{{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}"
             "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "alternating": """{{ bos_token }}
{%- if messages[0].role == 'system' %}
    {%- set system, rest = messages[0].content ~ '\\n\\n', messages[1:] %}
{%- else %}
    {%- set system, rest = '', messages %}
{%- endif %}
{%- for m in rest %}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles should alternate') }}
    {%- endif %}
    {%- if m.role == 'user' %}
        {{- '[ASK] ' + (system if loop.first else '') + m.content + ' [/ASK]' }}
    {%- elif m.role == 'assistant' %}
        {%- generation %} {{ m.content }}{{ eos_token }}{% endgeneration %}
    {%- endif %}
{%- endfor %}""",
    "tools": """{%- macro kind(p) -%}
    {%- if p.type is string -%}{{ p.type }}{%- else -%}{{ p.type | join(' or ') }}{%- endif -%}
    {%- if p.enum is defined %} of {{ p.enum | tojson }}{% endif -%}
{%- endmacro %}
{%- if tools %}
functions:
{%- for t in tools %}
{%- set f = t.function if t.function is defined else t %}
{{ loop.index }}. {{ f.name }}(
    {%- for name, p in f.parameters.properties.items() %}
        {{- name }}: {{ kind(p) }}{% if name in f.parameters.required %}!{% endif %}{{ '' if loop.last else ', ' }}
    {%- endfor %})
{{ t | tojson(indent=2) }}
{%- endfor %}
{% endif %}
{%- set ns = namespace(last=-1, calls=0) %}
{%- for m in messages if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endfor %}
{%- for m in messages %}
<{{ m.role }}>
    {%- if m.content is string %}{{ m.content }}
    {%- else %}{% for part in m.content or [] %}{{ part.text | default('?') }}{% endfor %}{% endif %}
    {%- if m.reasoning_content is defined and enable_thinking is not defined %} ({{ m.reasoning_content | replace('\\n', ' ') }}){% endif %}
    {%- for call in m.tool_calls | default([]) %}
        {%- set ns.calls = ns.calls + 1 %}
call {{ ns.calls }}: {{ call.function.name }} {{ call.function.arguments | tojson }}
    {%- endfor %}
</{{ m.role }}>
{%- endfor %}
{%- if add_generation_prompt %}
<assistant>{{ '' if enable_thinking | default(true) else '<no thought>' }}
{%- endif %}
""",
}


def main():
    random.seed(13)
    cases = []
    for name, source in TEMPLATES.items():
        for _ in range(8):
            tools = [chat.tool()] if chat.flag(0.4) else None
            variables = {"enable_thinking": chat.flag()} if chat.flag(0.4) else {}
            messages, prompt = chat.conversation(), chat.flag()
            text = chat.reference(source, messages, tools, variables, prompt)
            cases.append({"template": name, "messages": messages, "tools": tools, "variables": variables,
                          "addsGenerationPrompt": prompt, "text": text if isinstance(text, str) else None})
    snippets = []
    while len(snippets) < 160:
        source = chat.snippet()
        text = chat.reference(source, [{"role": "user", "content": "x"}], None, chat.VARIABLES, False)
        refused = sum(1 for s in snippets if s["text"] is None)
        # Python's ranges are lists here.
        if "range(" in source or len(source) > 300 or (not isinstance(text, str) and refused > 30):
            continue
        snippets.append({"source": source, "text": text if isinstance(text, str) else None})
    (HERE / "chat.expected.json").write_text(json.dumps(
        {"tokens": chat.TOKENS, "templates": TEMPLATES, "cases": cases, "variables": chat.VARIABLES, "snippets": snippets},
        ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
