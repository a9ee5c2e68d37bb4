//! The guard: which requests from the network are let in. Its rules are pure.
//!
//! A browser that was led here by a page of others may send requests in its user's name, also to a name that the others let point to
//! this machine (DNS rebinding). So a request must name a host that is meant, come from no other page, and show the token where there is
//! one. It must not know what is asked for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            ALLOW, AUTHORIZATION, CONNECTION, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE,
        },
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;

use super::{Plan, page, token::Token};
use crate::control::{answers::refusal, connections::Local};

/// What a browser says about where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a browser keeps the cookie, in seconds.
const COOKIE_AGE: u32 = 30 * 24 * 3600;

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is answered.
    Pass,
    /// It showed the token in its URL: the browser gets a cookie, and asks again without it.
    GiveCookie,
    /// It has a token in its URL and needs none there: the browser asks again without it.
    WithoutIt,
    /// It is refused.
    Refuse(StatusCode, &'static str),
}

/// Answers a request, or refuses it and closes its connection.
pub async fn check(State(plan): State<Arc<Plan>>, request: Request, next: Next) -> Response {
    let local = request.extensions().get::<Local>().map(|Local(address)| *address);
    let mut response = match judge(&plan, local, request.method(), request.uri(), request.headers()) {
        Verdict::Pass => return next.run(request).await,
        Verdict::GiveCookie => give_cookie(&plan),
        Verdict::WithoutIt => (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response(),
        Verdict::Refuse(status, why) => refuse(status, why, request.uri().path() == "/"),
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn refuse(status: StatusCode, why: &str, is_page: bool) -> Response {
    match status {
        StatusCode::UNAUTHORIZED if is_page => page::sign_in(why),
        StatusCode::UNAUTHORIZED => ([(WWW_AUTHENTICATE, "Bearer")], refusal(status, why)).into_response(),
        StatusCode::METHOD_NOT_ALLOWED => ([(ALLOW, "GET, HEAD")], refusal(status, why)).into_response(),
        _ => refusal(status, why),
    }
}

fn give_cookie(plan: &Plan) -> Response {
    let value = plan.token.as_ref().map(Token::cookie).unwrap_or_default();
    let name = cookie_name(plan);
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={COOKIE_AGE}");
    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

/// Its name has the port: a browser shares cookies among all ports of a host.
fn cookie_name(plan: &Plan) -> String {
    format!("gastown-supervisor-{}", plan.listen.port())
}

fn judge(plan: &Plan, local: Option<SocketAddr>, method: &Method, uri: &Uri, head: &HeaderMap) -> Verdict {
    use Verdict::Refuse;
    let is_meant = |host: &str| is_meant(plan, local, host);
    if ![Method::GET, Method::HEAD].contains(method) {
        let why = "the endpoint only reads: orders go over the socket (`gastown-supervisor restart <agent>`)";
        return Refuse(StatusCode::METHOD_NOT_ALLOWED, why);
    }
    // A request line with a whole URL names its host there, too.
    if !one(head, &HOST).is_some_and(is_meant) || !uri.authority().is_none_or(|it| is_meant(it.as_str())) {
        return Refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the host of this request: see http.hosts",
        );
    }
    let is_ours = |site: &str| ["same-origin", "none"].contains(&site);
    if head.contains_key(FETCH_SITE) && !one(head, &FETCH_SITE).is_some_and(is_ours) {
        return Refuse(StatusCode::FORBIDDEN, "another page asks for this: open it by its address");
    }
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| is_meant(host));
    if head.contains_key(ORIGIN) && !one(head, &ORIGIN).is_some_and(is_own) {
        return Refuse(StatusCode::FORBIDDEN, "another page asks for this");
    }
    if plan.closed.is_some() {
        return Refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the token cannot be read: see `gastown-supervisor status`",
        );
    }
    let may_pass = plan.token.as_ref().is_none_or(|token| shows(plan, token, head));
    match (in_url(uri), &plan.token) {
        (Some(text), Some(token)) if token.is(&text) => Verdict::GiveCookie,
        (Some(_), _) if may_pass => Verdict::WithoutIt,
        (Some(_), _) => Refuse(StatusCode::UNAUTHORIZED, "this is not the token"),
        (None, _) if may_pass => Verdict::Pass,
        (None, _) => Refuse(StatusCode::UNAUTHORIZED, "a token is needed"),
    }
}

/// The value of a header that is there once.
fn one<'a>(head: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = head.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Whether a host with its port is one by which this endpoint is meant to be reached: the address that the client connected to, a
/// name of this machine where that is a loopback address, or one of the settings. An address cannot be made to point here by others.
fn is_meant(plan: &Plan, local: Option<SocketAddr>, host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if host.contains('@') {
        return false;
    }
    let named = authority.host().to_ascii_lowercase();
    let whole = authority.as_str().to_ascii_lowercase();
    if plan.hosts.contains(&named) || plan.hosts.contains(&whole) {
        return true;
    }
    let Some(local) = local else { return false };
    let ip = local.ip().to_canonical();
    let is_name = ip.is_loopback() && ["localhost", "127.0.0.1", "[::1]"].contains(&&*named);
    let literal =
        named.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok_and(|it| ip == it);
    // Browsers leave out the port of HTTP.
    authority.port_u16().unwrap_or(80) == local.port() && (is_name || literal)
}

/// Whether a request shows the token, as programs do, or the cookie, as browsers do.
fn shows(plan: &Plan, token: &Token, head: &HeaderMap) -> bool {
    let bearer = one(head, &AUTHORIZATION).and_then(|it| it.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let name = cookie_name(plan);
    let cookies = head.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut cookies = cookies.flat_map(|all| all.split(';')).filter_map(|it| it.trim().split_once('='));
    bearer.is_some_and(|(_, text)| token.is(text.trim().as_bytes()))
        || cookies.any(|(it, value)| it == name && token.is_cookie(value))
}

/// The token in the URL of the page.
fn in_url(uri: &Uri) -> Option<Vec<u8>> {
    let query = uri.query().filter(|_| uri.path() == "/")?;
    let text = query.split('&').find_map(|part| part.strip_prefix("token="))?;
    Some(percent_decode_str(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn plan(token: bool, hosts: &[&str]) -> Plan {
        Plan {
            listen: "127.0.0.1:8642".parse().unwrap(),
            token: token.then(|| Token::parse(TOKEN.as_bytes()).unwrap()),
            closed: None,
            hosts: hosts.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    fn judged(plan: &Plan, local: &str, method: &Method, url: &str, head: &[(&str, &str)]) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in head {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        judge(plan, Some(local.parse().unwrap()), method, &url.parse().unwrap(), &map)
    }

    fn code(verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Pass => 200,
            Verdict::GiveCookie | Verdict::WithoutIt => 303,
            Verdict::Refuse(status, _) => status.as_u16(),
        }
    }

    #[test]
    fn by_which_hosts_it_is_reached() {
        for (local, hosts, host, is_meant) in [
            ("127.0.0.1:8642", &[][..], "127.0.0.1:8642", true),
            ("127.0.0.1:8642", &[], "localhost:8642", true),
            ("127.0.0.1:8642", &[], "LocalHost:8642", true),
            ("127.0.0.1:8642", &[], "[::1]:8642", true),
            ("[::1]:8642", &[], "[::1]:8642", true),
            ("127.0.0.2:8642", &[], "127.0.0.2:8642", true),
            // DNS rebinding: the name of another, which points here.
            ("127.0.0.1:8642", &[], "evil.example:8642", false),
            ("127.0.0.1:8642", &[], "127.0.0.1.evil.example:8642", false),
            ("127.0.0.1:8642", &[], "localhost.evil.example:8642", false),
            ("127.0.0.1:8642", &[], "localhost.:8642", false),
            ("127.0.0.1:8642", &[], "localhost:8643", false),
            ("127.0.0.1:8642", &[], "localhost", false),
            ("127.0.0.1:80", &[], "localhost", true),
            ("127.0.0.1:8642", &[], "x@localhost:8642", false),
            ("127.0.0.1:8642", &[], "", false),
            ("127.0.0.1:8642", &[], "localhost:8642/", false),
            ("127.0.0.1:8642", &[], "0.0.0.0:8642", false),
            // An address of the machine, reached from outside.
            ("192.168.1.5:8642", &[], "192.168.1.5:8642", true),
            ("[::ffff:192.168.1.5]:8642", &[], "192.168.1.5:8642", true),
            ("192.168.1.5:8642", &[], "localhost:8642", false),
            ("192.168.1.5:8642", &[], "192.168.1.6:8642", false),
            ("192.168.1.5:8642", &[], "box.example:8642", false),
            ("192.168.1.5:8642", &["box.example"], "Box.example:8642", true),
            ("192.168.1.5:8642", &["box.example"], "box.example", true),
            ("192.168.1.5:8642", &["box.example:443"], "box.example:443", true),
            ("192.168.1.5:8642", &["box.example:443"], "box.example:8642", false),
        ] {
            let verdict = judged(&plan(false, hosts), local, &Method::GET, "/", &[("host", host)]);
            assert_eq!(code(&verdict), if is_meant { 200 } else { 421 }, "{host} at {local}, {hosts:?}");
        }
    }

    #[test]
    fn what_is_let_in_without_a_token() {
        let host = ("host", "localhost:8642");
        let (get, post) = (&Method::GET, &Method::POST);
        for (name, method, url, head, expected) in [
            ("a program", get, "/v1/status", &[host][..], 200),
            ("an order", post, "/v1/poke", &[host], 405),
            ("a preflight", &Method::OPTIONS, "/v1/status", &[host], 405),
            ("no host", get, "/", &[], 421),
            ("two hosts", get, "/", &[host, host], 421),
            ("another host in the request line", get, "http://evil.example/", &[host], 421),
            ("the same host in the request line", get, "http://localhost:8642/", &[host], 200),
            ("a token that is not needed", get, "/?token=x", &[host], 303),
            ("the page itself", get, "/", &[host, ("sec-fetch-site", "same-origin")], 200),
            ("an address that was typed", get, "/", &[host, ("sec-fetch-site", "none")], 200),
            ("another site", get, "/", &[host, ("sec-fetch-site", "cross-site")], 403),
            ("another port of this host", get, "/", &[host, ("sec-fetch-site", "same-site")], 403),
            ("an unknown site", get, "/", &[host, ("sec-fetch-site", "x")], 403),
            ("two sites", get, "/", &[host, ("sec-fetch-site", "none"), ("sec-fetch-site", "none")], 403),
            ("its own origin", get, "/", &[host, ("origin", "http://localhost:8642")], 200),
            ("another origin", get, "/", &[host, ("origin", "http://evil.example")], 403),
            ("another port", get, "/", &[host, ("origin", "http://localhost:3000")], 403),
            ("no origin", get, "/", &[host, ("origin", "null")], 403),
            ("two origins", get, "/", &[host, ("origin", "http://localhost:8642"), ("origin", "null")], 403),
        ] {
            let verdict = judged(&plan(false, &[]), "127.0.0.1:8642", method, url, head);
            assert_eq!(code(&verdict), expected, "{name}: {verdict:?}");
        }
    }

    #[test]
    fn what_is_let_in_with_a_token() {
        let plan = plan(true, &[]);
        let cookie = plan.token.as_ref().unwrap().cookie().to_owned();
        let bearer = |text: &str| vec![("authorization", format!("Bearer {text}"))];
        let cookies = |text: String| vec![("cookie", text)];
        for (name, url, head, expected) in [
            ("nothing", "/v1/status", vec![], 401),
            ("the token", "/v1/status", bearer(TOKEN), 200),
            ("in small letters", "/v1/status", vec![("authorization", format!("bearer {TOKEN}"))], 200),
            ("its beginning", "/v1/status", bearer(&TOKEN[..15]), 401),
            ("more than it", "/v1/status", bearer(&format!("{TOKEN}0")), 401),
            ("another scheme", "/v1/status", vec![("authorization", format!("Basic {TOKEN}"))], 401),
            ("twice", "/v1/status", [bearer(TOKEN), bearer(TOKEN)].concat(), 401),
            ("the cookie", "/v1/status", cookies(format!("a=b; gastown-supervisor-8642={cookie}")), 200),
            ("of another port", "/v1/status", cookies(format!("gastown-supervisor-8643={cookie}")), 401),
            ("the token as a cookie", "/", cookies(format!("gastown-supervisor-8642={TOKEN}")), 401),
            ("the cookie as the token", "/v1/status", bearer(&cookie), 401),
            ("in the URL of the page", "/?token=0123456789abcdef", vec![], 303),
            ("escaped", "/?x=y&token=%30123456789abcdef", vec![], 303),
            ("a wrong one", "/?token=0123456789abcdee", vec![], 401),
            ("in another URL", "/v1/status?token=0123456789abcdef", vec![], 401),
        ] {
            let head: Vec<_> = head.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let head = [&[("host", "localhost:8642")], &*head].concat();
            let verdict = judged(&plan, "127.0.0.1:8642", &Method::GET, url, &head);
            assert_eq!(code(&verdict), expected, "{name}: {verdict:?}");
        }
    }
}
