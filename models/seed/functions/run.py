"""Runs one function once: python3 run.py FILE N FOLDER URL MODE. Prints what it took as one line of JSON.

MODE is `run`, or `prepare` to make its input. The standard HTTP server is loaded, as in an instance that serves.
"""
import http.server
import importlib.util
import json
import resource
import sys
import time


def waited_us():
    """How long the main thread could have run, while others had the processors."""
    with open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) // 1000


def storage_bytes():
    with open("/proc/self/io") as file:
        counts = dict(line.split(": ") for line in file)
    return int(counts["read_bytes"]) + int(counts["write_bytes"])


def network_bytes():
    with open("/proc/self/net/dev") as file:
        lines = [line.split() for line in file if ":" in line]
    return sum(int(fields[1]) for fields in lines)


path, n, folder, url, mode = sys.argv[1:6]
event = {"n": int(n), "folder": folder, "url": url}
spec = importlib.util.spec_from_file_location("function", path)
function = importlib.util.module_from_spec(spec)
spec.loader.exec_module(function)
if mode == "prepare":
    getattr(function, "prepare", lambda event: None)(event)
    sys.exit(0)
before = storage_bytes(), network_bytes()
start = time.perf_counter_ns() // 1000, time.process_time_ns() // 1000, waited_us()
function.handler(event)
end = time.perf_counter_ns() // 1000, time.process_time_ns() // 1000, waited_us()
after = storage_bytes(), network_bytes()
wall, cpu, waited = (late - early for late, early in zip(end, start))
storage, network = (late - early for late, early in zip(after, before))
took = {"cpu_us": cpu, "wall_us": max(wall - waited, min(wall, cpu), 1), "storage_bytes": storage, "network_bytes": network}
print(json.dumps({**took, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
