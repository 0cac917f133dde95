"""order_of_making.py RENDERED: checks that a machine starts only after everything that its setup
needs exists.

Reads the dependencies in the graphs of `terraform graph -type=plan`. An apply creates independent
resources at the same time, and an endpoint takes minutes but an instance takes seconds.
"""

import pathlib
import re
import sys

MACHINES = ("aws_instance.", "aws_autoscaling_group.", "aws_emr_cluster.")
NEEDED = (
    "aws_iam_role_policy.", "aws_iam_instance_profile.", "aws_vpc_security_group_egress_rule.", "aws_vpc_security_group_ingress_rule.",
    "aws_s3_object.", "aws_ssm_parameter.", "aws_vpc_endpoint.", "aws_route_table_association.", "aws_s3_bucket_policy.",
)
# Resources that no machine of a run needs.
NOT_NEEDED = ("aws_iam_role_policy.vacuum",)
EDGE = re.compile(r'"\[root\] ([^"]+)" -> "\[root\] ([^"]+)"')


def main(rendered):
    problems, machines, waits = [], 0, 0
    for file in sorted(rendered.glob("*.dot")):
        needs = {}
        for one, other in EDGE.findall(file.read_text()):
            needs.setdefault(one, set()).add(other)
        named = set(needs) | {other for others in needs.values() for other in others}
        needed = {node for node in named if is_a(node, NEEDED) and not is_a(node, NOT_NEEDED)}
        for machine in sorted(node for node in named if is_a(node, MACHINES)):
            waited_for = reached(machine, needs)
            machines += 1
            waits += len(needed & waited_for)
            problems += [f"{file.stem}: {machine} does not wait for {node}" for node in sorted(needed - waited_for)]
    print("\n".join(problems) or f"order: {machines} kinds of machines wait for all of {waits} things that they are set up with")
    sys.exit(bool(problems) or machines < 6 or waits < 60)


def is_a(node, kinds):
    return re.sub(r"^(module\.[a-z0-9_]+\.)+", "", node).startswith(kinds)


def reached(start, needs):
    seen, ahead = set(), [start]
    while ahead:
        for node in needs.get(ahead.pop(), ()):
            if node not in seen:
                seen.add(node)
                ahead.append(node)
    return seen


main(pathlib.Path(sys.argv[1]))
