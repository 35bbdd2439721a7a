"""The peak memory of a program that a test starts."""

# Lines of Python to put before a program. peak(): the peak memory of the program itself in kB, on Linux. getrusage
# would also count the memory of the process that started it.
PEAK = """
import pathlib, re
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""
