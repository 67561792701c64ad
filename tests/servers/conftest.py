"""Servers that several files of tests share."""

from tests.servers.rt_server import rt_server as rt_server
