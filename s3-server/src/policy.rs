//! Parses and evaluates the subset of AWS IAM policies that access to buckets needs. Parsing
//! rejects anything unsupported, so that no condition is silently ignored.
//!
//! A request is allowed if a statement allows it and none denies it (IAM, "Policy evaluation
//! logic"). The actions and resources of requests are defined by the "Service Authorization
//! Reference" of Amazon S3.

use serde_json::Value;

/// One policy document.
#[derive(Debug, Clone)]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Debug, Clone)]
struct Statement {
    is_allowed: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    /// Patterns for the prefix of a listing (`s3:prefix`), one of which must match; `None` if the
    /// statement has no such condition.
    prefixes: Option<Vec<String>>,
    /// Whether the statement also applies to requests without a prefix (`StringLikeIfExists`).
    is_if_exists: bool,
}

impl Policy {
    /// Parses a policy in JSON.
    ///
    /// # Panics
    /// If the policy is invalid or contains anything unsupported.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub(crate) fn parse(document: &str) -> Self {
        let document: Value = match serde_json::from_str(document) {
            Ok(document) => document,
            Err(error) => panic!("invalid policy: {error}"),
        };
        match &document["Statement"] {
            Value::Array(statements) => Self(statements.iter().map(Statement::parse).collect()),
            one => Self(vec![Statement::parse(one)]),
        }
    }

    /// Whether `action` (such as `s3:GetObject`) on `resource` (an ARN) is allowed. `prefix` is the
    /// prefix of a listing.
    pub(crate) fn allows(&self, action: &str, resource: &str, prefix: Option<&str>) -> bool {
        let matching: Vec<_> = self.0.iter().filter(|statement| statement.matches(action, resource, prefix)).collect();
        !matching.is_empty() && matching.iter().all(|statement| statement.is_allowed)
    }
}

impl Statement {
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    fn parse(statement: &Value) -> Self {
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        let unknown = statement.as_object().into_iter().flat_map(|keys| keys.keys());
        if let Some(unknown) = unknown.into_iter().find(|key| !known.contains(&key.as_str())) {
            panic!("`{unknown}` of a statement is not supported");
        }
        let condition = statement.get("Condition").map(|condition| {
            let mut kinds = condition.as_object().into_iter().flatten();
            match (kinds.next().map(|(kind, keys)| (kind.as_str(), keys.get("s3:prefix"))), kinds.next()) {
                (Some((kind @ ("StringLike" | "StringLikeIfExists"), Some(prefixes))), None) => (kind, texts(prefixes)),
                _ => panic!("only a condition `StringLike` on `s3:prefix` is supported"),
            }
        });
        let is_if_exists = matches!(condition, Some(("StringLikeIfExists", _)));
        Self {
            is_allowed: match statement["Effect"].as_str() {
                Some("Allow") => true,
                Some("Deny") => false,
                other => panic!("invalid effect: {other:?}"),
            },
            actions: texts(&statement["Action"]),
            resources: texts(&statement["Resource"]),
            prefixes: condition.map(|(_, prefixes)| prefixes),
            is_if_exists,
        }
    }

    fn matches(&self, action: &str, resource: &str, prefix: Option<&str>) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| is_like(pattern, text));
        any(&self.actions, action)
            && any(&self.resources, resource)
            && self
                .prefixes
                .as_ref()
                .is_none_or(|prefixes| prefix.map_or(self.is_if_exists, |prefix| any(prefixes, prefix)))
    }
}

/// Returns the texts of `value`, which is one text or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether `text` matches `pattern`. A `*` in the pattern matches any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(before) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| is_like(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_a_statement_that_allows_it_and_none_that_denies_it() {
        let policy = Policy::parse(
            r#"{"Statement": [
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:Put*"], "Resource": "arn:aws:s3:::b/lake/*"},
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/lake/*/_delta_log/*"},
                {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b",
                 "Condition": {"StringLike": {"s3:prefix": "in/*"}}}
            ]}"#,
        );
        let object = |key: &str| format!("arn:aws:s3:::b/{key}");
        assert!(policy.allows("s3:GetObject", &object("lake/t/1"), None));
        assert!(policy.allows("s3:PutObject", &object("lake/t/1"), None));
        assert!(!policy.allows("s3:PutObject", &object("lake/t/_delta_log/0.json"), None));
        assert!(!policy.allows("s3:DeleteObject", &object("lake/t/1"), None));
        assert!(!policy.allows("s3:GetObject", &object("other"), None));
        assert!(policy.allows("s3:ListBucket", "arn:aws:s3:::b", Some("in/2018")));
        assert!(!policy.allows("s3:ListBucket", "arn:aws:s3:::b", Some("lake/")));
        assert!(!policy.allows("s3:ListBucket", "arn:aws:s3:::b", None));
        let if_exists = Policy::parse(
            r#"{"Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b",
                "Condition": {"StringLikeIfExists": {"s3:prefix": ["in/*"]}}}}"#,
        );
        assert!(if_exists.allows("s3:ListBucket", "arn:aws:s3:::b", None));
        assert!(!if_exists.allows("s3:ListBucket", "arn:aws:s3:::b", Some("lake/")));
    }

    #[test]
    #[should_panic(expected = "only a condition")]
    fn an_unsupported_condition_is_rejected() {
        Policy::parse(
            r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "true"}}}}"#,
        );
    }
}
