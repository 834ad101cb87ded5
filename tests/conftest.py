"""What holds for all tests."""

from __future__ import annotations

import signal

# Who runs the tests in the background (nohup, a build server) may have left signals ignored, and children inherit
# that: the tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)
