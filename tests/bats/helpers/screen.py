#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives a program that draws on a terminal.

screen.py SIZE STEP... -- COMMAND...     SIZE: COLUMNSxLINES

Steps, one after the other:
  see TEXT       until the screen has this text (TEXT: a regular expression, over its lines)
  gone TEXT      until it has not
  press KEYS     sends them; Python's escapes are known: \\r, \\x1b
  resize SIZE    the terminal has another size from here on
  signal NAME    sends the signal to the program
  run COMMAND    a command of the shell, which must succeed
  hangup         the terminal goes away

Then the program must end by itself. The last line printed is its exit status, or -N for signal N.
An error, with what the screen showed, where a step does not come about within the time, or where the
program leaves the terminal in another state than it found it in.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte

TIMEOUT = 15 * int(os.environ.get("PURPLE_TEST_SLOWNESS", "4"))


class Terminal:
    def __init__(self, size, command):
        columns, lines = map(int, size.split("x"))
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.gone = False
        self.master, slave = pty.openpty()
        self.set_size(columns, lines)
        self.before = termios.tcgetattr(slave)
        env = dict(os.environ, TERM="screen")
        self.child = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env,
            start_new_session=True, close_fds=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave

    def set_size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def pump(self, seconds):
        if self.gone:
            time.sleep(min(seconds, 0.05))
            return
        if select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.raw += data
            self.stream.feed(data)

    def text(self):
        return "\n".join(self.screen.display)

    def fail(self, what):
        print(f"screen: {what}; the screen shows:\n{self.text()}")
        self.child.kill()
        sys.exit(1)

    def until(self, what, condition):
        end = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > end:
                self.fail(f"not within the time: {what}")
            self.pump(0.1)

    def step(self, word, argument):
        if word in ("see", "gone"):
            self.until(f"{word} {argument}",
                       lambda: (re.search(argument, self.text()) is not None) == (word == "see"))
        elif word == "press":
            os.write(self.master, argument.encode().decode("unicode_escape").encode("latin-1"))
        elif word == "resize":
            columns, lines = map(int, argument.split("x"))
            self.screen.resize(lines, columns)
            self.set_size(columns, lines)
        elif word == "signal":
            self.child.send_signal(getattr(signal, "SIG" + argument))
        elif word == "run":
            subprocess.run(argument, shell=True, check=True)
        else:
            self.fail(f"nobody knows the step '{word}'")

    def hangup(self):
        os.close(self.slave)
        os.close(self.master)
        self.gone = True

    def end(self):
        self.until("the program ends", lambda: self.child.poll() is not None)
        if self.gone:
            return
        while select.select([self.master], [], [], 0)[0]:
            self.pump(0)
        if termios.tcgetattr(self.slave) != self.before:
            self.fail("the terminal's settings are not what they were")
        for begin, leave, what in ((b"\x1b[?1049h", b"\x1b[?1049l", "the other screen is still on"),
                                   (b"\x1b[?25l", b"\x1b[?25h", "the cursor is still hidden")):
            if begin not in self.raw:
                self.fail(f"the program never drew on a screen of its own: {begin}")
            if self.raw.rfind(leave) < self.raw.rfind(begin):
                self.fail(what)


def main():
    at = sys.argv.index("--")
    words, command = sys.argv[2:at], sys.argv[at + 1:]
    terminal = Terminal(sys.argv[1], command)
    while words:
        word = words.pop(0)
        if word == "hangup":
            terminal.hangup()
        else:
            terminal.step(word, words.pop(0))
    terminal.end()
    print(terminal.child.returncode)


main()
