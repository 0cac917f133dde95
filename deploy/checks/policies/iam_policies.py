"""Checks every rendered IAM policy with parliament, which knows AWS's actions, resources and
condition keys.

    iam_policies.py RENDERED
"""

import json
import sys
from pathlib import Path

from parliament import analyze_policy_string, enhance_finding
from rendered_resources import rendered_resources

BAD = {"LOW", "MEDIUM", "HIGH", "CRITICAL"}
TYPES = {"aws_iam_role", "aws_iam_role_policy", "aws_s3_bucket_policy", "aws_kms_key"}


def main(rendered):
    policies = {}
    for file in sorted(rendered.glob("*.json")):
        for resource in rendered_resources(file):
            if resource["type"] in TYPES:
                for attribute in ("policy", "assume_role_policy"):
                    if resource["values"].get(attribute):
                        place = f"{resource['example']}: {resource['address']}.{attribute}"
                        policies[place] = (resource["type"], resource["values"][attribute])
    problems = [problem for place, (kind, text) in policies.items() for problem in problems_of(place, kind, text)]
    print("\n".join(problems), end="\n" if problems else "")
    if problems or len(policies) < 40:
        sys.exit(1)
    print(f"parliament: {len(policies)} policies, no finding")


def problems_of(place, kind, text):
    policy = json.loads(text)
    for statement in policy["Statement"]:
        yield from (f"{place}: {problem}" for problem in stars(kind, statement))
    for finding in analyze_policy_string(json.dumps(as_identity_policy(kind, policy))).findings:
        finding = enhance_finding(finding)
        if finding.severity in BAD:
            yield f"{place}: {finding.severity} {finding.issue} {finding.detail}"


def stars(kind, statement):
    """Yields each `*` that a statement must not contain.

    It may contain one if it denies, and as the resource of a key's policy, where it means that key.
    """
    if statement["Effect"] == "Allow":
        if any("*" in action for action in as_list(statement["Action"])):
            yield f"`*` in the actions of {statement.get('Sid')}"
        if "*" in as_list(statement.get("Resource", [])) and kind != "aws_kms_key" and statement.get("Sid") != "SessionManager":
            yield f"`*` is a resource of {statement.get('Sid')}"
        if "*" in as_list(statement.get("Principal", [])):
            yield f"everybody is a principal of {statement.get('Sid')}"


def as_identity_policy(kind, policy):
    """Adapts a policy for parliament, which knows only policies of identities. Those of a role or
    key concern that role or key.
    """
    itself = {
        "aws_iam_role": ["arn:aws:iam::123456789012:role/itself"],
        "aws_kms_key": ["arn:aws:kms:us-east-1:123456789012:key/itself", "arn:aws:kms:us-east-1:123456789012:alias/itself"],
    }.get(kind)
    return {**policy, "Statement": [
        {**statement, "Resource": itself} if itself and statement.get("Resource", "*") == "*" else statement
        for statement in policy["Statement"]
    ]}


def as_list(value):
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
