#!/usr/bin/env python3
"""Writes tests/data/text/jinja.json: what jinja2, set up as transformers sets it up, renders for the templates in
tests/data/text/templates, SmolLM2's and granite-7b-lab's own, and for several hundred small snippets.
Run: python tests/goldens/text_jinja.py [granite tokenizer_config.json]. Needs jinja2 only; no randomness."""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parent.parent / "data" / "text"
NOW = datetime.datetime(2026, 3, 7, 9, 5, 2)

# SmolLM2-135M-Instruct's chat template, from its GGUF metadata (Apache-2.0).
SMOLLM2 = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""


def environment(strict=False):
    """As transformers has it; strict: jinja2's own white space, and what is undefined is an error."""
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

        def _print(self, caller):
            return caller()

    options = {"undefined": jinja2.StrictUndefined} if strict else {"trim_blocks": True, "lstrip_blocks": True}
    env = ImmutableSandboxedEnvironment(extensions=[Generation, jinja2.ext.loopcontrols], **options)
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


ENV = environment()
STRICT = environment(strict=True)


def render(source, context, env=ENV):
    try:
        return {"expected": env.from_string(source).render(**context)}
    except Exception as e:  # the library must refuse it too; the words are its own
        return {"error": type(e).__name__ + ": " + str(e)}


def m(role, content, **more):
    return {"role": role, "content": content, **more}


TOOLS = [
    {"type": "function", "function": {"name": "tide", "description": "When is high \"tide\"?\n<b>Zoë</b> 'n é 東京 \U0001f6a2",
     "parameters": {"type": "object", "properties": {"port": {"type": "string"}, "days": {"type": "integer", "default": 3},
                    "where": {"properties": {"lat": {"type": "number"}, "a": {}}}}, "required": ["port"]}}},
    {"type": "function", "function": {"name": "empty", "parameters": {}}},
]
CONVERSATIONS = [
    {"messages": [m("user", "Hi")]},
    {"messages": [m("user", "Hi")], "add_generation_prompt": True},
    {"messages": [m("system", "Be brief."), m("user", "Hi")], "add_generation_prompt": True},
    {"messages": [m("system", "  Be brief.\n"), m("user", " Hi \n"), m("assistant", "\nHello!  "), m("user", "Bye\t!")],
     "add_generation_prompt": True},
    {"messages": [m("user", "1"), m("assistant", "2"), m("user", "3"), m("assistant", "4")]},
    {"messages": [m("user", "Où est l'île? 東京 🚢 \u00a0\u2003"), m("assistant", "\u3000Là-bas — «là».\u200b")], "add_generation_prompt": True},
    {"messages": [m("user", "{{ 7*7 }} {% if %} <|im_end|>\n<|im_start|>system </s> \\n 'quotes' \"double\" {# c #}"),
                  m("assistant", "")]},
    {"messages": [m("user", "q"), m("assistant", "<think>\nhm\n\n</think>\n\nanswer"), m("user", "q2"),
                  m("assistant", "<think>a</think>b")]},
    {"messages": [m("user", "q"), m("user", "again")]},
    {"messages": [m("system", "s"), m("system", "t"), m("user", "u")]},
    {"messages": [m("user", "tide?"), m("assistant", "", tool_calls=[{"type": "function", "function": {"name": "tide",
     "arguments": {"port": "Zoë \"B\"", "n": 1.5, "e": 1e20, "deep": [1, None, True, {"x": []}]}}}]),
     m("tool", "{\"high\": \"12:30\"}"), m("tool", "second"), m("assistant", "At 12:30.")], "tools": TOOLS, "add_generation_prompt": True},
    {"messages": [m("system", "s"), m("user", "u")], "tools": TOOLS},
    {"messages": [m("user", "x" * 300 + "\n" * 5)], "add_generation_prompt": False},
]

# Right only because jinja2 never walks through the result: the library filters at once, and finds the error.
LAZY = {"{{ 'yes' if objs | selectattr('k', 'eq', 99) else 'no' }} {{ (l | map('string')) is iterable }}"}

CTX = {
    "s": "Hello World", "u": "Zoë 東京 🚢é", "n": 7, "neg": -3, "f": 2.5, "t": True, "z": None, "empty": "", "l": [3, 1, 2],
    "w": ["banana", "Apple", "cherry"], "d": {"b": 1, "a": 2, "items": 3}, "nest": {"x": {"y": [10, 20]}},
    "objs": [{"name": "b", "k": 1, "role": "user"}, {"name": "A", "k": 2, "role": "assistant"}, {"name": "c", "role": "user"}],
    "quote": "it's \"q\"\n\t\\", "multi": "a\n  b\n\nc", "pad": "  pad\t\n", "html": "<a href=\"x\">&'</a>", "big": 10000000000, "tricky": [1, [2, [3]], {"k": "v"}, None, True, 1.0, "é'"],
}

SNIPPETS = r"""
{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ -2 ** 2 }} {{ (1 + 2) * 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1.0 }} {{ 1_000 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e100 }} {{ 123456789.123 }}
{{ true + 1 }} {{ t * 3 }} {{ +n }} {{ -n }} {{ - f }} {{ not t }} {{ not not z }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ n + s }}
{{ s + n }}
{{ s ~ n ~ z ~ t ~ f ~ l ~ missing }}
{{ s * 2 }} {{ 2 * 'ab' }} {{ 'ab' * -1 }} {{ [1] * 3 }} {{ l + [4] }} {{ (1, 2) + (3,) }}
{{ 'a' 'b' "c" }} {{ 'a\tb\\n\x41\u00e9\'' }} {{ "a\qb" }} {{ '\101\U0001F600' }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'é' > 'z' }} {{ 1 != 2 }} {{ t == 1 }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 'ell' in s }} {{ 'x' not in s }} {{ 3 in l }} {{ 'a' in d }} {{ 5 in d }} {{ 'x' in missing }} {{ not 3 in l }}
{{ 3 in s }}
{{ 1 in 2 }}
{{ t and s }} {{ z or s }} {{ z and missing }} {{ '' or 0 or none }} {{ 1 and 2 or 3 }} {{ not z and t }}
{{ 'a' if t else 'b' }} {{ 'a' if z else 'b' }} [{{ 'a' if z }}] {{ 'a' if z else 'b' if z else 'c' }} {{ ('x' if t else 'y') ~ 'z' }}
{{ l }} {{ d }} {{ tricky }} {{ (1,) }} {{ () }} {{ (1, 'a') }} {{ 1, 2 }} {{ {} }} {{ [] }} {{ {'a': [1, {'b': none}]} }}
{{ quote }} {{ [quote] }} {{ ["it's"] }} {{ ['"'] }} {{ [u, '\u200b\u00a0\x07\u00ad'] }}
{{ z }} {{ t }} {{ f }} {{ big }} {{ missing }}
{{ missing.x is defined }}
{{ missing.x }}
{{ missing['x'] }}
{{ missing() }}
{{ missing + 1 }}
{{ s() }}
{{ s.nope }} {{ n.nope }} {{ z.nope }} {{ d.nope }} {{ l.nope }} {{ d.nope is defined }} {{ nest.x.y[1] }} {{ nest['x']['y'][-1] }} {{ l[7] }} {{ l['a'] }}
{{ s.nope.deeper }}
{{ s[0] }}{{ s[-1] }}{{ u[4] }}{{ u[-2] }}{{ s[99] }} {{ l[0] }} {{ l[-1] }} {{ l[true] }} {{ d['a'] }} {{ d.a }} {{ d.b }} {{ d['items'] }}
{{ s[1:4] }} {{ s[:3] }} {{ s[-3:] }} {{ s[::2] }} {{ s[::-1] }} {{ s[4:1:-1] }} {{ s[100:] }} {{ s[-100:2] }} {{ u[4:6] }} {{ l[1:] }} {{ l[::-1] }} {{ (1,2,3)[:2] }} {{ l[:] }} {{ s[5:2] }} {{ l[10:] }} {{ s[2:100:3] }} {{ s[::-3] }}
{{ s[::0] }}
{{ n[1:] }}
{{ d[1:] }}
{{ s.upper() }} {{ s.lower() }} {{ u.upper() }} {{ 'ÀÉß Ñ'.lower() }} {{ 'straße'.upper() }} {{ 'ПРИВЕТ Ω'.lower() }} {{ "they're bill's".title() }} {{ "hELLO wORLD".capitalize() }}
{{ pad.strip() }}|{{ pad.lstrip() }}|{{ pad.rstrip() }}|{{ 'xxhixx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ '\u00a0\u3000x\u2003'.strip() }}|{{ 'éxé'.strip('é') }}|{{ s.strip(none) }}
{{ s.split() }} {{ s.split('o') }} {{ s.split('o', 1) }} {{ '  a  b '.split() }} {{ 'a,,b'.split(',') }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a b c d'.split(none, 2) }} {{ 'a b c d'.rsplit(' ', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a-b-c'.rsplit('-') }} {{ 'a b'.split(maxsplit=1) }} {{ 'a--b'.split(sep='--') }}
{{ s.split('') }}
{{ multi.splitlines() }} {{ "a\r\nb\rc\n".splitlines() }} {{ "a\n\n".splitlines(true) }}
{{ s.startswith('He') }} {{ s.endswith(('x', 'ld')) }} {{ s.startswith(('a', 'b')) }} {{ s.endswith('') }}
{{ s.replace('o', '0') }} {{ s.replace('o', '0', 1) }} {{ 'ab'.replace('', '-') }} {{ 'aaa'.replace('aa', 'b') }}
{{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ u.find('京') }} {{ s.count('l') }} {{ s.index('W') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }}
{{ s.index('zz') }}
{{ '-'.join(['a', 'b']) }} {{ ''.join([]) }} {{ ', '.join(w) }} {{ '/'.join('abc') }}
{{ ','.join([1]) }}
{{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }} {{ ''.isdigit() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ '1'.isupper() }} {{ 'é'.isalpha() }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.md'.removesuffix('.md') }} {{ 'x'.removeprefix('y') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ '{} {}!'.format('a', 1) }} {{ '{0}{0}{b}'.format('x', b='y') }} {{ '{{}}'.format() }}
{{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 'dflt') }} {{ d.get('q', default=1) if false else 5 }}
{{ l.index(1) }} {{ l.count(3) }} {{ [1, 1].count(1) }}
{{ l.append(4) }}
{{ d.update({'x': 1}) }}
{{ s.__class__ }}
{{ ''.__class__.__mro__ }}
{{ range.__globals__ }}
{{ s | upper }} {{ s | lower }} {{ "they're (big) x-ray" | title }} {{ 'hELLO' | capitalize }} {{ pad | trim }}| {{ 'xxaxx' | trim('x') }} {{ n | string + '!' }} {{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 2) }} {{ n | replace('7', '8') }}
{{ s | length }} {{ u | length }} {{ l | count }} {{ d | length }} {{ missing | length }} {{ '' | length }}
{{ n | length }}
{{ z | length }}
{{ w | join(', ') }} {{ l | join }} {{ objs | join('-', attribute='name') }} {{ 'abc' | join('.') }} {{ d | join(',') }} {{ [1, none, true] | join('|') }}
{{ missing | default('x') }} {{ empty | default('x') }}| {{ empty | default('x', true) }} {{ z | d('x') }} {{ z | default('x', boolean=true) }} {{ missing | default }}|
{{ l | first }} {{ l | last }} {{ s | first }} {{ s | last }} {{ [] | first }}| {{ d | first }} {{ [] | first is defined }} {{ u | last }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ w | sort }} {{ w | sort(case_sensitive=true) }} {{ objs | sort(attribute='name') | map(attribute='name') | list }} {{ l | min }} {{ l | max }} {{ w | min }} {{ l | sum }} {{ objs[:2] | sum('k') }} {{ [] | max }}| {{ [[1],[2]] | sum(start=[]) }} {{ [0.5, 1] | sum }}
{{ ['a', 1] | sort }}
{{ l | reverse | list }} {{ s | reverse }} {{ ['a', 'A', 'b', 'a'] | unique | list }} {{ ['a', 'A'] | unique(case_sensitive=true) | list }} {{ [1, 1.0, 2] | unique | list }}
{{ w | map('upper') | list }} {{ objs | map(attribute='name') | list }} {{ objs | map(attribute='k', default=0) | list }} {{ ['a b', 'c'] | map('replace', ' ', '_') | join('+') }} {{ [[1, 2], [3]] | map('first') | list }} {{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }} {{ [[5, 6]] | map(attribute=1) | list }}
{{ l | select('gt', 1) | list }} {{ l | reject('odd') | list }} {{ [0, 1, '', 'a'] | select | list }} {{ objs | selectattr('k') | map(attribute='name') | list }} {{ objs | selectattr('role', 'equalto', 'user') | list | length }} {{ objs | rejectattr('role', 'eq', 'user') | map(attribute='name') | join }} {{ objs | selectattr('k', 'defined') | list | length }} {{ objs | selectattr('role', 'in', ['user']) | list | length }} {{ l | select('divisibleby', 3) | list }}
{{ 'yes' if objs | selectattr('k', 'eq', 99) else 'no' }} {{ (l | map('string')) is iterable }}
{{ l | map('nope') | list }}
{{ l | select('nope') | list }}
{{ s | nope }}
{{ s is nope }}
{{ d | items | list }} {{ missing | items | list }} {{ d | dictsort }} {{ d | dictsort(by='value') }} {{ d | dictsort(reverse=true) }} {{ {'B': 1, 'a': 2} | dictsort }} {{ {'B': 1, 'a': 2} | dictsort(true) }}
{{ l | items | list }}
{{ d | list }} {{ s | list }} {{ (1, 2) | list }} {{ missing | list }}
{{ 5 | list }}
{{ d | tojson }} {{ tricky | tojson }} {{ s | tojson }} {{ quote | tojson }} {{ u | tojson }} {{ html | tojson }} {{ 1.0 | tojson }} {{ none | tojson }} {{ '\x01\x7f\u2028' | tojson }} {{ (1, 2) | tojson }} {{ [] | tojson }} {{ {} | tojson }}
{{ tricky | tojson(indent=2) }} {{ {} | tojson(indent=2) }} {{ d | tojson(indent='--') }}
{{ u | tojson(ensure_ascii=true) }} {{ d | tojson(separators=(',', ':')) }} {{ d | tojson(sort_keys=true) }} {{ d | tojson(indent=1, sort_keys=true, separators=(';', '=')) }} {{ nest | tojson(indent=0) }}
{{ missing | tojson }}
{{ range | tojson }}
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ -3.9 | int }} {{ ' 12 ' | int }} {{ '3.7' | int }} {{ 'ff' | int(base=16) }} {{ none | int }} {{ true | int }} {{ '1.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ 'x' | float(1.5) }}
{{ missing | int }}
{{ missing | float }}
{{ missing | round }}
{{ 2.567 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(method='ceil') }} {{ 2.9 | round(0, 'floor') }} {{ 2.5 | round }} {{ -3 | abs }} {{ neg | abs }} {{ -2.5 | abs }} {{ 5 | round }} {{ 5 | round(1) }} {{ 2.5 | round(1) }}
{{ multi | indent }} {{ multi | indent(2) }} {{ multi | indent(2, true) }} {{ multi | indent(2, first=true, blank=true) }} {{ multi | indent('> ') }}
{{ html | escape }} {{ html | e }} {{ html | safe }} {{ s | wordcount }} {{ 'a b/c?é&' | urlencode }} {{ '%s-%d' | format('x', 3) }} {{ '%.2f %s%%' | format(2.5, 1) }} {{ '%s' % 'x' }} {{ '%s %s' % (1, 'b') }} {{ '%r' % 'a' }} {{ d | attr('x') }}
{{ '%s' % (1, 2) }}
{{ '%d' % 'x' }}
{% for k, v in objs | groupby('role') %}{{ k }}:{{ v | length }} {% endfor %}
{{ [1,2,3,4,5] | batch(2) | list }} {{ [1,2,3] | batch(2, 'x') | list }}
{{ n is number }} {{ n is integer }} {{ f is float }} {{ t is number }} {{ t is integer }} {{ t is boolean }} {{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ d is sequence }} {{ s is sequence }} {{ s is iterable }} {{ n is iterable }} {{ z is none }} {{ missing is defined }} {{ missing is undefined }} {{ range is callable }} {{ s is callable }}
{{ 3 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is ge(2) }} {{ 'a' is in ['a'] }} {{ 'a' is not in ['a'] }} {{ none is none }} {{ t is true }} {{ z is false }} {{ 1 is sameas 1 }} {{ t is sameas true }} {{ 1 is sameas true }} {{ 'AB' is upper }} {{ 'ab' is lower }} {{ n is not string }} {{ not n is string }} {{ n is defined and s is string }} {{ missing is defined or t }} {{ missing is iterable }}
{% if n is defined and n > 5 %}yes{% else %}no{% endif %} {% if missing %}a{% elif z %}b{% elif t %}c{% else %}d{% endif %} {% if not missing %}e{% endif %}
{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %} {% for x in [] %}a{% else %}none{% endfor %} {% for c in 'ab' %}[{{ c }}]{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for x in missing %}a{% else %}empty{% endfor %}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.previtem is defined }};{% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %} {% for a, b in [(1, 2), [3, 4]] %}{{ a + b }} {% endfor %} {% for (a, b) in [(1, 2)] %}{{ a }}{% endfor %} {% for x in range(5) if x % 2 %}{{ x }}{{ loop.length }}{% endfor %} {% for x in l if x > 9 %}a{% else %}no{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %} {{ range(3) | list }} {{ range(1, 6, 2) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }}
{% for x in 5 %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for x in l recursive %}{% endfor %}!error
{% for x in l %}{% for y in w %}{{ loop.index }}{{ y[0] }}{% endfor %}{{ loop.index }} {% endfor %}
{% set a = 1 %}{% for x in l %}{{ a }}{% set a = a + 1 %}{{ a }} {% endfor %}{{ a }} {% if t %}{% set a = 9 %}{% endif %}{{ a }}
{% set ns = namespace(x=0, y='q') %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.zz }} {% set ns.zz = [1] %}{{ ns.zz }} {{ ns['x'] if false else 1 }} {% set n2 = namespace({'k': 5}) %}{{ n2.k }}
{% set d.x = 1 %}
{% set q.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, e) = [3, 4] %}{{ c + e }} {% set x = 1, 2 %}{{ x }}
{% set block %}a {{ n }} b{% endset %}[{{ block }}] {% set up | upper %}x{{ s }}{% endset %}{{ up }} {% filter upper | replace('L', '_') %}hello{% endfilter %}
{% with a = 5, b = 6 %}{{ a + b }}{% endwith %}{{ a is defined }} {% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}
{% macro f(a, b=2, c='x') %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(1, c='z') }} {{ f(a=9) }} [{{ f() }}] {{ f(1) | upper }} {{ f(1) ~ '!' }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}
{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(6) }}
{% macro outer() %}{{ glob }}{% endmacro %}{% set glob = 'late' %}{{ outer() }} {% macro sees() %}{{ s }}{{ t }}{% endmacro %}{{ sees() }}
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}x{{ n }}{% endcall %} {% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(v, i) each(l) %}{{ i }}={{ v }};{% endcall %}
{% macro m1() %}a{% endmacro %}{% macro m2() %}{{ m1() }}b{% endmacro %}{{ m2() }}{{ m2() }} {% set g = m2 %}{{ g() }}
{% raw %}{{ not }} {% here %}{# kept #}{% endraw %} {%- raw -%}  x  {%- endraw -%}  y
a{# comment #}b {#- tight -#} c
{%- if t %} x {%- endif %} y {{- n -}} z {{ n }} w
  {%+ if t %}kept{%+ endif +%}
a {%- if t -%} b {%- endif -%} c
x{{ '\n' }}{{ "}}" }}{{ '%}' }} {{ {'a': {'b': 1}}.a.b }} {{ {'a':{'b':1}}['a'] }} {{'tight'}} {{- ' ' -}} |
{% generation %}gen {{ n }}{% endgeneration %} tail
{{ strftime_now('%d %b %Y') }} {{ strftime_now("%Y-%m-%d %H:%M:%S") }} {{ strftime_now('%A, %B %-d') }} {{ strftime_now is defined }}
{{ raise_exception('no') }}
{% if false %}{{ raise_exception('no') }}{% endif %}fine
{{ dict(a=1, b='x') }} {{ dict({'k': 1}, z=2) }} {{ namespace is callable }}
{% include 'x' %}!error
{% extends 'x' %}!error
{% import 'x' as y %}!error
{% nope %}
{% if t %}
{% endif %}
{{ 1 + }}
{{ (1 }}
{{ 'open }}
{{ 1 2 }}
{{ a..b }}
{% for in l %}{% endfor %}
{% set 1 = 2 %}
{{ }}
{% if %}{% endif %}
{{ s | }}
{{ s is }}
{# never closed
{% raw %} never
{{ l | map(attribute='x' }}
{{ f(a=1, 2) }}
{% else %}
{% if t %}{% endfor %}
{{ d.0 }}{{ l.0 }} {{ nest.x.y.1 }}
{{ 'a' ~ 'b' | upper }} {{ 1 + 2 | string | length }} {{ -1 | abs }} {{ 'a' + 'b' * 2 ~ 'c' }} {{ (l | length) - 1 }} {{ l | length - 1 }} {{ not l | length == 1 }} {{ 'x' in s | lower }} {{ n > 5 and 'big' or 'small' }}
{{ [1, 2, 3,] }} {{ {'a': 1,} }} {{ f | string | replace('.', ',') }} {{ objs[0]['name'] ~ objs[1].name }} {{ objs[-1].get('k', 'none') }} {{ objs[2]['k'] is defined }} {{ (objs | first).name }} {{ objs | map(attribute='role') | list | last }}
{{ s.split('o')[0].strip() | upper }} {{ ('a' ~ n).upper() }} {{ [s, u] | map('length') | list }} {{ "%02d" % 5 if false else 'skip' }} {{ s.upper is callable }} {% set up = s.upper %}{{ up() }}
"""


def snippets():
    multi = [  # sources with line breaks of their own
        "  {% if t %}\n  indented\n  {% endif %}\nafter\n", "\n\nx\n\n", "x\n", "x\n\n", "{% if t %}\n\nx{% endif %}\n\n", "a\r\nb\rc{{ '\\r' }}\r\n",
        "  {{ n }}\n  {{ n }}  \n", "{# c #}\nx\n  {# c #}\n  y {# c #}\n", "x {% set a = 1 %} y\n  {% set b = 2 %}  \nz",
        "{%- for x in l %}\n  - {{ x }}\n{%- endfor %}\n", "{% for x in l -%}\n  {{ x }}\n{% endfor -%}\n\n  end", "\t{%+ if t %}\n\tx\n\t{%- endif %}\n",
        "{{ n -}}\n\n  x\n  {{- n }}", "{% if t +%}\nx\n{% endif %}", "{% raw %}\n  x\n  {% endraw %}\ny", "a{# multi\nline #}\nd", "a\n {%- raw %}\n{{ x }}\n{% endraw -%}\n b",
        "{% macro a() %}\n  body {{ n }}\n{% endmacro %}\n{{ a() }}|\n", "{% set x %}\n  v\n{% endset %}\n[{{ x }}]\n", "{{ 'a\nb' }}\n{{ \"x\\ny\" }}",
        "{% if t %}a\n{% else %}b\n{% endif %}c\n", "\u3000{% if t %}x{% endif %}\u3000{%- if t %}y{% endif %}", "{#-c-#}\n\n x {#- d +#}\n y",
        "{{\n n\n}}\n{%\n if t\n%}\nz{% endif %}", "", "\n", "{{ n }}\n", "plain { text } {%", "{ {n} } %} }} #}",
        "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}\n{{ x }}\n{% endfor %}", "  {%- if t %}\n   {{- n }}\n  {%- endif %}  \n ",
    ]
    out = []
    for source in [line for line in SNIPPETS.split("\n") if line] + multi:
        if source.endswith("!error"):  # jinja2 knows more than the library wants to
            out.append({"source": source.removesuffix("!error"), "error": "not supported"})
        else:
            usual, strict = render(source, CTX), render(source, CTX, STRICT)
            if source in LAZY:
                strict = None
            out.append({"source": source, **usual, **({} if strict == usual else {"strict": strict})})
    return out


def main():
    sources = {p.stem: p.read_text(encoding="utf-8") for p in sorted((ROOT / "templates").glob("*.jinja"))}
    granite = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parents[3] / "shared/data/tokenizers/granite-7b-lab/tokenizer_config.json")
    cases = []
    named = {**sources, "smollm2": SMOLLM2}
    if granite.exists():
        named["granite-7b-lab"] = json.loads(granite.read_text(encoding="utf-8"))["chat_template"]
    for name, source in named.items():
        for i, conversation in enumerate(CONVERSATIONS):
            context = {"bos_token": "<s>", "eos_token": "</s>", **conversation}
            cases.append({"template": name, "conversation": i, **render(source, context)})
    data = {
        "written_by": f"tests/goldens/text_jinja.py with jinja2 {jinja2.__version__}, Python {sys.version.split()[0]}",
        "now": [2026, 3, 7, 9, 5, 2], "smollm2": SMOLLM2, "conversations": CONVERSATIONS, "cases": cases,
        "context": CTX, "snippets": snippets(),
    }
    (ROOT / "jinja.json").write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(len(cases), "cases,", len(data["snippets"]), "snippets,", sum("error" in s for s in data["snippets"]), "of them errors")


if __name__ == "__main__":
    main()
