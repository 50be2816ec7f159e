#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the page of `purple report --html`, and prints its text, a line an element.

page.py FILE: an error where the page is not well formed, loads or runs anything, names another place,
or where its policy would let it; where the style is not the one that the policy names; where a drawing
has no title or is not hidden from readers; where ids are not the only ones of their name.
"""
import base64
import hashlib
import html.parser
import re
import sys

VOID = {"meta", "br", "hr"}
TAGS = VOID | set("html head title style body main header h1 h2 p ul li dl dt dd div section figure svg "
                  "desc rect line span small bdi time details summary table caption thead tbody tr th "
                  "td".split())
ATTRIBUTES = set("lang charset http-equiv content name id class role scope datetime data-name viewbox "
                 "preserveaspectratio x y x1 y1 x2 y2 width height aria-labelledby aria-hidden".split())
POLICY = r"default-src 'none'; style-src 'sha256-([A-Za-z0-9+/=]+)'; base-uri 'none'; form-action 'none'"


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.text, self.ids, self.style = [], [], [], set(), ""
        self.policy, self.refers, self.drawings = None, [], []

    def problem(self, what):
        self.problems.append(f"line {self.getpos()[0]}: {what}")

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in TAGS:
            self.problem(f"a <{tag}>")
        if len(values) != len(attrs):
            self.problem("an attribute twice")
        for name in values:
            if name not in ATTRIBUTES:
                self.problem(f"an attribute {name}")
        if values.get("http-equiv") == "Content-Security-Policy":
            if self.policy or "style" in self.open:
                self.problem("a second policy, or a late one")
            self.policy = values.get("content")
        elif "http-equiv" in values:
            self.problem(f"http-equiv {values['http-equiv']}")
        if "id" in values:
            if values["id"] in self.ids:
                self.problem(f"the id {values['id']} twice")
            self.ids.add(values["id"])
        self.refers += values.get("aria-labelledby", "").split()
        if tag == "svg":
            self.drawings.append([self.getpos()[0], values, []])
        elif self.drawings and "svg" in self.open:
            self.drawings[-1][2].append((tag, self.open[-1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problem(f"</{tag}> where <{self.open[-1] if self.open else ''}> is open")
        elif tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif data.strip():
            self.text.append(data.strip())

    def handle_comment(self, data):
        self.problem("a comment")

    def handle_pi(self, data):
        self.problem("an instruction")

    def check(self):
        if self.open:
            self.problem(f"not closed: {self.open}")
        policy = re.fullmatch(POLICY, self.policy or "")
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        if not policy:
            self.problem(f"its policy is {self.policy}")
        elif policy.group(1) != digest:
            self.problem(f"report_style_hash has to be {digest}")
        if re.search(r"url\(|@import|expression", self.style, re.I):
            self.problem("its style loads something")
        for name in self.refers:
            if name not in self.ids:
                self.problem(f"nothing has the id {name}")
        for line, values, inside in self.drawings:
            named = ("title", "svg") in inside and ("desc", "svg") in inside and values.get("role") == "img"
            if not named and values.get("aria-hidden") != "true":
                self.problem(f"the drawing of line {line} has no title and description")


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as f:
        source = f.read()
    page = Page()
    page.feed(source)
    page.close()
    page.check()
    if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", source):
        page.problem("characters that are not seen")
    if page.problems:
        print("\n".join(page.problems))
        sys.exit(1)
    print("\n".join(page.text))


main()
