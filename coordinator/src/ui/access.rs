//! Who may read the pages.
//!
//! - Without a token, the server accepts only a loopback address, and only requests whose `Host` is
//!   `localhost` or a loopback address. So a page of another site cannot read the lake, even if its name resolves to
//!   this machine (DNS rebinding).
//! - With a token, a request must have it: as `Authorization: Bearer`, or as a cookie, which the first
//!   request with `?token=` sets.
//! - A request with an `Origin` must come from these pages.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lakewright_common::error::{Error, Result};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::Ui;

/// Header in which a browser says whether a request comes from a page of another site.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Minimum number of characters of a token.
const MIN_TOKEN_LENGTH: usize = 16;
/// Headers of every answer. The pages load nothing from other hosts and run only their own scripts.
const SAFETY: &[(HeaderName, &str)] = &[
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The rule by which requests are accepted.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<String>,
    /// Name of the cookie with the token. It has the port, because cookies ignore ports.
    cookie: String,
}

impl Access {
    /// # Errors
    /// A configuration error if `listen` is not an address of this machine only and there is no
    /// token, or if the token is too short.
    pub(super) fn new(listen: SocketAddr, token: Option<String>) -> Result<Self> {
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(Error::configuration(format!("`{listen}` can be reached from other machines"))
                .hint("set a secret with `--token-file`, or listen on 127.0.0.1 and use an SSH tunnel"));
        }
        let is_usable = |token: &String| {
            token.len() >= MIN_TOKEN_LENGTH
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
        };
        if token.as_ref().is_some_and(|token| !is_usable(token)) {
            return Err(Error::configuration(format!(
                "the token does not have at least {MIN_TOKEN_LENGTH} letters, digits or characters of `-._~+/=`"
            ))
            .hint("write 32 random characters into the file, for example those of `openssl rand -hex 16`"));
        }
        Ok(Self { token, cookie: format!("lakewright_token_{}", listen.port()) })
    }

    /// Returns the URL of the pages, without the token.
    pub(super) fn url(&self, address: SocketAddr) -> String {
        let more = if self.token.is_some() { "?token=…" } else { "" };
        format!("http://{address}/{more}")
    }

    fn refusal(&self, uri: &Uri, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).or_else(|| uri.host()).unwrap_or_default();
        if self.token.is_none() && !is_this_machine(host) {
            return Some((StatusCode::FORBIDDEN, "the Host of the request is not this machine"));
        }
        // Other sites can make a browser send requests. Refuse those to the API. Links to pages are
        // allowed.
        let is_from_other_site = text(SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
        if is_from_other_site && uri.path().starts_with("/api/") {
            return Some((StatusCode::FORBIDDEN, "the request comes from a page of another site"));
        }
        let is_own =
            |origin: &str| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host);
        if text(header::ORIGIN).is_some_and(|origin| !is_own(origin)) {
            return Some((StatusCode::FORBIDDEN, "the request comes from a page of another site"));
        }
        if *method != Method::GET
            && *method != Method::HEAD
            && text(header::ORIGIN).is_none()
            && text(header::COOKIE).is_some()
        {
            return Some((StatusCode::FORBIDDEN, "the request does not say from which page it comes"));
        }
        let token = self.token.as_deref()?;
        let authorization = text(header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        let bearer = authorization.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.map(|(_, token)| token.trim());
        let cookie = text(header::COOKIE).and_then(|cookies| {
            let mut named = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
            named.find(|(name, _)| *name == self.cookie).map(|(_, value)| value)
        });
        let is_known = bearer.or(cookie).is_some_and(|given| are_equal(given, token));
        (!is_known).then_some((StatusCode::UNAUTHORIZED, "add the token to the URL once: `?token=…`"))
    }

    /// Returns the answer to a request with the right `?token=`: it sets the cookie, and leads to the
    /// same page without the token.
    fn sign_in(&self, uri: &Uri) -> Option<Response> {
        let token = self.token.as_deref()?;
        let given = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))?;
        let decoded = percent_decode_str(given).decode_utf8_lossy();
        if !are_equal(given, token) && !are_equal(&decoded, token) {
            return None;
        }
        // With `Lax`, a link in a mail leads to a page. Other requests are checked by their origin.
        let cookie = format!("{}={token}; HttpOnly; SameSite=Lax; Path=/", self.cookie);
        let rest: Vec<&str> = uri.query()?.split('&').filter(|pair| !pair.starts_with("token=")).collect();
        let location =
            if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), rest.join("&")) };
        Some((StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, location)]).into_response())
    }
}

/// Passes accepted requests on, and adds the headers of every answer.
pub(super) async fn check(State(ui): State<Arc<Ui>>, request: Request, next: Next) -> Response {
    let refusal = ui.access.refusal(request.uri(), request.method(), request.headers());
    let mut response = match refusal {
        None => next.run(request).await,
        Some((status, reason)) => {
            let signed_in = (status == StatusCode::UNAUTHORIZED).then(|| ui.access.sign_in(request.uri())).flatten();
            signed_in.unwrap_or_else(|| (status, format!("{reason}\n")).into_response())
        }
    };
    for (name, value) in SAFETY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a `Host` is this machine, with any port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Compares secrets in a time that does not depend on where they differ.
fn are_equal(given: &str, secret: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, method: Method, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        access
            .refusal(&Uri::from_static("/api/v1/lake"), &method, &headers.collect())
            .map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_this_machine_and_these_pages_are_answered_without_a_token() {
        let access = Access::new("127.0.0.1:4040".parse().unwrap(), None).unwrap();
        for (headers, expected) in [
            (&[("host", "localhost:4040")][..], None),
            (&[("host", "127.0.0.1")], None),
            (&[("host", "[::1]:4040")], None),
            (&[("host", "evil.example")], Some(403)),
            (&[("host", "localhost.evil.example:4040")], Some(403)),
            (&[("host", "127.0.0.1:4040@evil.example")], Some(403)),
            (&[], Some(403)),
            (&[("host", "localhost:4040"), ("origin", "http://localhost:4040")], None),
            (&[("host", "localhost:4040"), ("origin", "http://evil.example")], Some(403)),
            (&[("host", "localhost:4040"), ("origin", "null")], Some(403)),
            (&[("host", "LOCALHOST:4040")], None),
            (&[("host", "127.0.0.2:4040")], None),
            (&[("host", "10.0.0.1:4040")], Some(403)),
            (&[("host", "localhost:4040"), ("sec-fetch-site", "same-site")], Some(403)),
            (&[("host", "localhost:4040"), ("sec-fetch-site", "cross-site")], Some(403)),
            (&[("host", "localhost:4040"), ("sec-fetch-site", "same-origin")], None),
        ] {
            assert_eq!(status(&access, Method::GET, headers), expected, "{headers:?}");
        }
        assert!(Access::new("0.0.0.0:4040".parse().unwrap(), None).is_err());
    }

    #[test]
    fn a_token_is_a_header_or_a_cookie() {
        let token = "0123456789abcdef";
        let access = Access::new("0.0.0.0:4040".parse().unwrap(), Some(token.to_owned())).unwrap();
        let host = ("host", "lake.example:4040");
        for (headers, expected) in [
            (&[host][..], Some(401)),
            (&[host, ("authorization", "bearer 0123456789abcdef")], None),
            (&[host, ("authorization", "Bearer 0123456789abcdee")], Some(401)),
            (&[host, ("cookie", "a=b; lakewright_token_4040=0123456789abcdef")], None),
            (&[host, ("cookie", "lakewright_token_4040=")], Some(401)),
            (&[host, ("cookie", "lakewright_token_4041=0123456789abcdef")], Some(401)),
        ] {
            assert_eq!(status(&access, Method::GET, headers), expected, "{headers:?}");
        }
        // A form of another site sends the cookie and no Origin in old browsers.
        let cookie = ("cookie", "lakewright_token_4040=0123456789abcdef");
        assert_eq!(status(&access, Method::POST, &[host, cookie]), Some(403));
        assert_eq!(status(&access, Method::POST, &[host, cookie, ("origin", "https://lake.example:4040")]), None);
        let signed_in = access.sign_in(&Uri::from_static("/runs?sort=rows&token=0123456789abcdef")).unwrap();
        assert_eq!(signed_in.headers()[header::LOCATION], "/runs?sort=rows");
        assert!(access.sign_in(&Uri::from_static("/?token=0123456789abcdee")).is_none());
        for wrong in ["short", "0123456789abcdef;", "0123456789abcdef g", "0123456789abcdef\n0"] {
            assert!(Access::new("127.0.0.1:1".parse().unwrap(), Some(wrong.to_owned())).is_err(), "{wrong}");
        }
    }
}
