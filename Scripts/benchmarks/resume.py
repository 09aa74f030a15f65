"""Kills a training by SIGKILL at random moments, resumes it each time, and compares the final weights with those of an
undisturbed one.
"""

import argparse
import filecmp
import random
import shutil
import signal
import subprocess
import time

from common import CORPUS, PLACE, real_runs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    corpus, generator = real_runs(), random.Random(options.seed)
    whole, parts = PLACE / "gpt-whole", PLACE / "gpt-parts"
    for path in (whole, parts):
        shutil.rmtree(path, ignore_errors=True)
    began = time.perf_counter()
    command = [CORPUS, "train", corpus, "--quiet", "--out"]
    subprocess.run([*command, whole, "--steps", str(options.steps)], check=True)
    seconds = time.perf_counter() - began
    kills, resumes = 0, 0
    while True:
        begins = not (parts / "training.safetensors").exists()
        if begins:
            shutil.rmtree(parts, ignore_errors=True)
        more = ["--steps", str(options.steps)] if begins else ["--resume"]
        process = subprocess.Popen([*command, parts, "--save-seconds", "0.5", *more])
        if kills < options.kills:
            time.sleep(generator.uniform(0.2, 1.5 * seconds / options.kills))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
        if process.wait() == 0:
            break
        resumes += not begins
    same = filecmp.cmp(whole / "model.safetensors", parts / "model.safetensors", shallow=False)
    print(f"{kills} kills: the final weights are {'the same' if same else 'NOT the same'} as those of an undisturbed run")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
