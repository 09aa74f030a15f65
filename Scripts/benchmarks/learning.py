"""How many of 100 seeds end with a train_return of at least 440."""

from common import query, real_runs

path = real_runs()
final = [
    row["train_return"]
    for row in query(path, "SELECT run, train_return, max(step) FROM checkpoints WHERE run < 100 GROUP BY run")
]
good = sum(value >= 440 for value in final)
final.sort()
print(
    f"learning: {good} of {len(final)} seeds end with train_return >= 440 "
    f"(worst {final[0]:.1f}, median {final[len(final) // 2]:.1f}, best {final[-1]:.1f})"
)
