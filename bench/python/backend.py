"""The backend in memory that the Python SDK brings for tests, until its standard input ends."""
import sys

from durabletask.testing import create_test_backend

backend = create_test_backend(port=int(sys.argv[1]), max_history_size=1_000_000)
sys.stdin.read()
backend.stop()
