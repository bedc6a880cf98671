"""Renders chat templates with Pith and with `transformers`, and compares the texts.

    python3 chat.py PITH [--templates FOLDER] [--count 20] [--snippets 500] [--seed 1]

Each `.jinja` file of the folder writes `count` random conversations: with and without a system message, functions, calls
and their results, thoughts, unusual characters. Besides, random pieces of Jinja's language are written by both. Where
`transformers` refuses a conversation Pith has to refuse it too.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from transformers.utils.chat_template_utils import render_jinja_template

MODEL = pathlib.Path(__file__).resolve().parents[2] / "Tests/Golden/logits/grouped-untied"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
WORDS = ["Hello", "naïve café", "a\nb", "  spaces  ", "你好", "🦊👩‍👩‍👧", "{{ x }}", "<|im_end|>", "\"quoted\"", "it's", "\\n", "1e3", "",
         "<think>hm</think>done", "tab\there", "\u2028line", "[TOOL]", "</s>"]
pick = random.choice
flag = lambda p=0.5: random.random() < p


def text():
    return " ".join(pick(WORDS) for _ in range(random.randint(1, 4)))


def value(depth=0):
    kinds = [text, lambda: random.randint(-5, 10**6), lambda: random.uniform(-1, 1e9), flag, lambda: None,
             lambda: pick([1e16, 1e-7, 1.0, -0.0, 123456789.125])]
    if depth < 2:
        kinds += [lambda: [value(depth + 1) for _ in range(random.randint(0, 3))],
                  lambda: {pick(["a", "b", "ключ", "items"]): value(depth + 1) for _ in range(random.randint(0, 3))}]
    return pick(kinds)()


def tool():
    names = ["city", "unit", "count"]
    return {"type": "function", "function": {
        "name": pick(["get_weather", "search", "sum"]), "description": text(),
        "parameters": {"type": "object", "properties": {
            name: {"type": pick(["string", "integer", ["string", "null"]]), "description": text(),
                   **({"enum": ["a", "b"]} if flag(0.3) else {})} for name in names[:random.randint(1, 3)]},
            "required": names[:1], **({"additionalProperties": False} if flag(0.2) else {})},
        **({"strict": True} if flag(0.2) else {})}}


def content():
    return [{"type": "text", "text": text()} for _ in range(random.randint(1, 2))] if flag(0.1) else text()


def conversation():
    messages = [{"role": "system", "content": content()}] if flag() else []
    for turn in range(random.randint(1, 4)):
        messages.append({"role": "user", "content": content()})
        if flag(0.3):
            calls = [{"id": f"call{turn}{i:04}", "type": "function",
                      "function": {"name": "search", "arguments": {"query": text(), "n": value(1)}}}
                     for i in range(random.randint(1, 2))]
            messages.append({"role": "assistant", "content": pick(["", None, text()]), "tool_calls": calls})
            for call in calls:
                messages.append({"role": "tool", "name": "search", "tool_call_id": call["id"], "content": text()})
        messages.append({"role": "assistant", "content": content(),
                         **({"reasoning_content": text()} if flag(0.2) else {})})
    if flag(0.8):
        messages.append({"role": "user", "content": content()})
    return messages


# Random pieces of the language.

def expression(depth=0):
    if depth > 2 or flag(0.35):
        return pick(["1", "2.5", "-3", "'ab c'", '"x\\ty"', "none", "true", "[3, 1, 2]", "{'b': 2, 'a': [1]}", "missing",
                     "word", "numbers", "people", "mapping", "(1, 'z')", "word[1:]", "numbers[-1]", "people[0].name",
                     "mapping['k']", "range(4)", "namespace(a=1).a", "dict(x=1)", "word[::-1]", "numbers[:-1]", "[]", "''"])
    e = lambda: expression(depth + 1)
    return pick([
        lambda: f"({e()} {pick(['+', '-', '*', '/', '//', '%', '~', '**'])} {e()})",
        lambda: f"({e()} {pick(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'])} {e()})",
        lambda: f"({e()} {pick(['and', 'or'])} {e()})", lambda: f"(not {e()})", lambda: f"-{e()}",
        lambda: f"({e()} if {e()} else {e()})", lambda: f"({e()} if {e()})",
        lambda: f"({e()} is {pick(['', 'not '])}{test()})", lambda: f"({e()}|{filter_(e)})",
        lambda: f"({e()}|{filter_(e)}|{filter_(e)})", lambda: f"[{e()}, {e()}]", lambda: f"({e()}).{method()}",
        lambda: f"({e()})[{e()}]",
    ])()


def test():
    return pick(["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence",
                 "iterable", "odd", "even", "divisibleby 2", "divisibleby(3)", "true", "false", "eq 1", "ne(2)", "gt 1", "lower",
                 "upper", "in [1, 2]", "callable", "sameas none", "test"])


def filter_(e):
    return pick([
        "length", "upper", "lower", "title", "capitalize", "trim", "first", "last", "list", "reverse|list", "sort",
        "sort(reverse=true)", "join(', ')", "join('-', attribute='name')", "string", "int", "float", "abs", "round", "round(1)",
        "round(1, 'floor')", "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(separators=(',', ':'))",
        "default('d')", "default('d', true)", "d(1)", "replace('a', 'b')", "replace('b', '', 1)", "unique|list", "sum", "min",
        "max", "map('upper')|list", "map(attribute='name')|list", "selectattr('age', 'gt', 3)|list", "select('odd')|list",
        "rejectattr('age')|list", "reject('none')|list", "items|list", "dictsort", "dictsort(by='value')", "batch(2)|list",
        "slice(2)|list", "indent(2)", "indent(2, true)", "wordcount", "center(9)", "truncate(3, true, '', 0)", "e", "safe",
        "format(1)", "attr('name')", "map('string')|join('+')", "tojson(ensure_ascii=true)", "int(7)", "count",
    ])


def method():
    return pick(["upper()", "strip()", "split()", "split('b')", "startswith('a')", "endswith(('c', 'd'))", "title()", "items()",
                 "keys()|list", "values()|list", "get('k')", "get('q', 4)", "replace('a', 'zz')", "lstrip('a')", "find('c')",
                 "count('a')", "index(1)", "join(['x', 'y'])", "splitlines()", "isdigit()", "rsplit('b', 1)", "zfill(6)",
                 "removeprefix('ab')", "capitalize()", "rstrip()", "islower()", "name", "append(1)"])


def snippet():
    e = expression
    sign = lambda: pick(["", "", "-", "+"])
    gap = lambda: pick(["", " ", "\n", "\n  ", "  \n", " t "])
    tag = lambda body: f"{gap()}{{%{sign()} {body} {pick(['', '-'])}%}}{gap()}"
    out = lambda body: f"{gap()}{{{{{pick(['', '-'])} {body} {pick(['', '-'])}}}}}{gap()}"
    return pick([
        lambda: out(e()), lambda: out(e()) + out(e()),
        lambda: tag(f"if {e()}") + out(e()) + tag("else") + "no" + tag("endif"),
        lambda: tag(f"for x in {e()}") + out("x") + out(f"loop.{pick(['index', 'last', 'revindex0', 'length', 'previtem'])}")
        + tag("else") + "none" + tag("endfor"),
        lambda: tag(f"for x in numbers if x {pick(['>', '<'])} 2") + out("x ~ loop.index0") + tag("endfor"),
        lambda: tag("for k, v in mapping.items()") + out("k ~ v") + tag("endfor"),
        lambda: tag(f"set y = {e()}") + out("y") + out("[y, y]"),
        lambda: tag("set y") + out(e()) + tag("endset") + out("y|length"),
        lambda: tag("set ns = namespace(n=0)") + tag("for x in numbers") + tag("set ns.n = ns.n + x")
        + tag("if x == 3") + tag(pick(["break", "continue"])) + tag("endif") + out("x") + tag("endfor") + out("ns.n"),
        lambda: tag(f"macro m(a, b={e()})") + out("a ~ b") + tag("endmacro") + out(f"m({e()})") + out(f"m(1, b={e()})"),
        lambda: tag("macro m()") + "<" + out("caller()") + ">" + tag("endmacro") + tag("call m()") + out(e()) + tag("endcall"),
        lambda: tag("filter upper") + out(e()) + tag("endfilter"),
        lambda: tag(f"with z = {e()}") + out("z") + tag("endwith") + out("z is defined"),
        lambda: "{#- note -#}" + gap() + "{# x #}\n a" + tag("raw") + "{{ no }}" + tag("endraw") + "\n",
        lambda: tag("for p in people recursive") + out("p.name") + out("loop(p.children) if p.children") + tag("endfor"),
    ])()


VARIABLES = {"word": "abc abd", "numbers": [4, 1, 3, 2], "mapping": {"k": "v", "B": 1.5, "a": None},
             "people": [{"name": "Zoe", "age": 4, "children": [{"name": "Kid", "age": 1}]}, {"name": "adam", "age": 2}]}


def reference(source, messages, tools, variables, prompt):
    try:
        messages = [{k: v for k, v in m.items() if v is not None} for m in messages]
        texts, _ = render_jinja_template(
            [messages], tools=tools, chat_template=source, add_generation_prompt=prompt, **TOKENS, **variables)
        return texts[0]
    except Exception as error:
        return error


class Pith:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.model = folder / "model"
        shutil.copytree(MODEL, self.model)
        (self.model / "tokenizer_config.json").write_text(json.dumps({**TOKENS, "chat_template": "x"}))

    def render(self, source, messages, tools, variables, prompt):
        (self.folder / "template").write_text(source, newline="")
        (self.folder / "messages").write_text(json.dumps(messages))
        command = [self.program, "chat", str(self.model), "--chat-template", str(self.folder / "template"), "--messages",
                   str(self.folder / "messages"), "--show-prompt", "--json"]
        if not prompt:
            command.append("--no-generation-prompt")
        if tools:
            (self.folder / "tools").write_text(json.dumps(tools))
            command += ["--tools", str(self.folder / "tools")]
        for name, value in variables.items():
            command += ["--set", f"{name}={json.dumps(value)}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            return json.loads(result.stdout)["prompt"]
        if result.returncode != 65:
            print("exit status", result.returncode, result.stderr, source)
        return RuntimeError(result.stderr.strip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pith")
    parser.add_argument("--templates")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--snippets", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    random.seed(options.seed)
    templates = sorted(pathlib.Path(options.templates).glob("*.jinja")) if options.templates else []
    equal, both, different = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        pith = Pith(options.pith, pathlib.Path(folder))

        def compare(name, source, messages, tools, variables, prompt):
            nonlocal equal, both
            expected = reference(source, messages, tools, variables, prompt)
            found = pith.render(source, messages, tools, variables, prompt)
            if isinstance(expected, Exception) and isinstance(found, Exception):
                both += 1
            elif not isinstance(expected, Exception) and expected == found:
                equal += 1
            else:
                different.append(name)
                if len(different) <= options.show:
                    print(f"== {name}\nexpected {expected!r}\nfound    {found!r}")

        for path in templates:
            for index in range(options.count):
                tools = [tool() for _ in range(random.randint(1, 2))] if flag(0.4) else None
                variables = {"enable_thinking": flag()} if flag(0.3) else {}
                compare(f"{path.name} {index}", path.read_text(), conversation(), tools, variables, flag(0.8))
        for _ in range(options.snippets):
            source = snippet()
            compare(source, source, [{"role": "user", "content": "x"}], None, VARIABLES, False)
    print(f"{equal} texts equal, {both} refused by both, {len(different)} different")


if __name__ == "__main__":
    main()
