//! Requests signed with an access key, `SDK-HMAC-SHA256`: what the signature is made over, as the server has to see it.
//!
//! Contract `hilens`, guide, section 4. There is no derived key, region or service in this scheme.

use axum::http::{HeaderMap, HeaderName, Method};
use edgedeck_model::Time;
use jiff::{civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use sha2::{Digest, Sha256};

pub const ALGORITHM: &str = "SDK-HMAC-SHA256";
pub const DATE: HeaderName = HeaderName::from_static("x-sdk-date");
/// Says what stands for the body in the signature.
const CONTENT: HeaderName = HeaderName::from_static("x-sdk-content-sha256");
/// The body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Most headers that a signature names.
const HEADERS_MAX: usize = 64;
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What an `Authorization` header of this scheme says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub access_key: String,
    /// In the order in which they were signed; `x-sdk-date` is among them, and none is there twice.
    signed_headers: Vec<HeaderName>,
    pub signature: [u8; 32],
}

/// Whether a header's value is of this scheme, in good form or not.
pub fn is_signature(value: &[u8]) -> bool {
    value.starts_with(ALGORITHM.as_bytes())
}

impl Authorization {
    /// Reads `SDK-HMAC-SHA256 Access=…, SignedHeaders=…;…, Signature=…`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(value)
            .ok()?
            .strip_prefix(ALGORITHM)?
            .strip_prefix(' ')?;
        let (mut access_key, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=')?;
            let place = match name {
                "Access" => &mut access_key,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        let access_key = access_key
            .filter(|key| (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        Some(Self {
            access_key: access_key.to_owned(),
            signed_headers: names(signed_headers?)?,
            signature: digest(signature?)?,
        })
    }

    /// What must have been signed by a request with this header, or `None` if it lacks a signed header or has it twice.
    pub fn text(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        payload: &str,
    ) -> Option<Vec<u8>> {
        let request = self.canonical_request(method, path, query, headers, payload)?;
        let hash = hex::encode(Sha256::digest(&request));
        let date = one(headers, &DATE)?;
        Some([ALGORITHM.as_bytes(), b"\n", date, b"\n", hash.as_bytes()].concat())
    }

    fn canonical_request(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        payload: &str,
    ) -> Option<Vec<u8>> {
        let mut text = format!("{method}\n{}\n{}\n", canonical_path(path), canonical_query(query)).into_bytes();
        for name in &self.signed_headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(one(headers, name)?.trim_ascii());
            text.push(b'\n');
        }
        let names: Vec<&str> = self.signed_headers.iter().map(HeaderName::as_str).collect();
        text.extend_from_slice(format!("\n{}\n{payload}", names.join(";")).as_bytes());
        Some(text)
    }
}

/// Names in lower case, with semicolons between.
fn names(list: &str) -> Option<Vec<HeaderName>> {
    let mut names: Vec<HeaderName> = Vec::new();
    for name in list.split(';') {
        let name = HeaderName::from_lowercase(name.as_bytes()).ok()?;
        if names.contains(&name) || names.len() >= HEADERS_MAX {
            return None;
        }
        names.push(name);
    }
    names.contains(&DATE).then_some(names)
}

/// 64 lower-case hex digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (!text.contains(|c: char| c.is_ascii_uppercase())).then_some(bytes)
}

/// The value of a header that is there once.
pub fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// The time that `YYYYMMDDThhmmssZ` names.
pub fn date(text: &[u8]) -> Option<Time> {
    let digits_and_marks = |(at, byte): (usize, &u8)| match at {
        8 => *byte == b'T',
        15 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 16 || !text.iter().enumerate().all(digits_and_marks) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let named = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let stamp = TimeZone::UTC.to_timestamp(named).ok()?;
    Some(Time(stamp.as_millisecond()))
}

/// What stands for the body in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Its SHA-256.
    Hashed,
    /// A word instead, as whoever signed has chosen.
    Unsigned,
}

impl Payload {
    /// What a request's headers say, for a body that is there.
    pub fn of(headers: &HeaderMap) -> Self {
        if one(headers, &CONTENT) == Some(UNSIGNED.as_bytes()) {
            Self::Unsigned
        } else {
            Self::Hashed
        }
    }

    /// The payload's part of the signature, or `None` if the headers name another body.
    pub fn text(self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        if self == Self::Unsigned {
            return Some(UNSIGNED.to_owned());
        }
        let hash = hex::encode(Sha256::digest(body));
        let mut named = headers.get_all(&CONTENT).iter();
        let agrees = body.is_empty() || named.all(|value| value.as_bytes() == hash.as_bytes());
        agrees.then_some(hash)
    }
}

fn encoded(text: &[u8]) -> String {
    percent_encode(text, &UNRESERVED).to_string()
}

/// The path decoded, each part encoded anew, with `/` at its end. So `%2F` is the same as `/`.
fn canonical_path(path: &str) -> String {
    let decoded: Vec<u8> = percent_decode(path.as_bytes()).collect();
    let parts: Vec<String> = decoded.split(|byte| *byte == b'/').map(encoded).collect();
    let mut path = parts.join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// The parameters decoded, sorted by name and then by value, and encoded anew. `+` is a plus sign.
fn canonical_query(query: &str) -> String {
    let decoded = |text: &str| percent_decode(text.as_bytes()).collect::<Vec<u8>>();
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    pairs.join("&")
}

/// Reads whatever comes as a header of this scheme and as a request with it, for fuzzing.
pub fn parse_any(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.splitn(4, |byte| *byte == b'\n').collect();
    let line = |at: usize| String::from_utf8_lossy(lines.get(at).copied().unwrap_or_default()).into_owned();
    let Some(authorization) = Authorization::parse(line(0).as_bytes()) else {
        return;
    };
    let value = |at| axum::http::HeaderValue::from_bytes(line(at).as_bytes());
    let mut headers = HeaderMap::new();
    for name in &authorization.signed_headers {
        if let Ok(value) = value(1) {
            headers.insert(name, value);
        }
    }
    let text = authorization.text(&Method::GET, &line(2), &line(3), &headers, "");
    assert!(text.is_none_or(|text| text.starts_with(ALGORITHM.as_bytes())));
    assert!(date(line(1).as_bytes()).is_none() || line(1).len() == 16);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, Uri};
    use proptest::prelude::*;
    use serde_json::Value;

    /// The vectors that the contract has from the public SDK.
    fn vectors() -> Vec<Value> {
        let contract = include_str!("../../../../../tests/contract/hilens.yaml");
        let contract: Value = serde_yaml_ng::from_str(contract).unwrap();
        contract["x-signature-test-vectors"].as_array().unwrap().clone()
    }

    fn headers_of(vector: &Value) -> HeaderMap {
        let headers = vector["headers"].as_object().unwrap().iter();
        headers
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_vectors_of_the_contract() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
            let line = format!(
                "{ALGORITHM} Access={}, SignedHeaders={}, Signature={}",
                text("access_key"),
                text("signed_headers"),
                text("signature")
            );
            let authorization = Authorization::parse(line.as_bytes()).unwrap();
            assert_eq!(authorization.access_key, text("access_key"));
            let method: Method = text("method").parse().unwrap();
            let uri: Uri = text("request_target").parse().unwrap();
            let (path, query) = (uri.path(), uri.query().unwrap_or_default());
            let (headers, body) = (headers_of(&vector), text("body"));
            let payload = Payload::of(&headers).text(&headers, body.as_bytes()).unwrap();
            let request = authorization.canonical_request(&method, path, query, &headers, &payload);
            let request = String::from_utf8(request.unwrap()).unwrap();
            assert_eq!(request, text("canonical_request"), "{}", text("name"));
            let signed = authorization.text(&method, path, query, &headers, &payload).unwrap();
            assert_eq!(String::from_utf8_lossy(&signed), text("string_to_sign"));
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, text("secret_key").as_bytes());
            ring::hmac::verify(&key, &signed, &authorization.signature).unwrap();
        }
    }

    #[test]
    fn paths_and_queries_have_one_form() {
        for (path, canonical) in [
            ("/", "/"),
            ("", "/"),
            ("/a", "/a/"),
            ("/a/", "/a/"),
            ("/a%2Fb", "/a/b/"),
            ("/a//b", "/a//b/"),
            ("/节点", "/%E8%8A%82%E7%82%B9/"),
            ("/%e8%8a%82+~(1)", "/%E8%8A%82%2B~%281%29/"),
            ("/%zz%4", "/%25zz%254/"),
            ("/%FF", "/%FF/"),
            ("/../x", "/../x/"),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
        for (query, canonical) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=10&a=1", "a=1&a=10&a=2"),
            ("a", "a="),
            ("a=&b", "a=&b="),
            ("a=b=c", "a=b%3Dc"),
            ("a=1+2%2B3%203", "a=1%2B2%2B3%203"),
            ("&&a=1&", "a=1"),
            ("=x", "=x"),
            ("a=%e8%8a%82", "a=%E8%8A%82"),
            ("B=1&a=2&A=3", "A=3&B=1&a=2"),
            ("a=%", "a=%25"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }

    #[test]
    fn an_authorization_has_one_form() {
        let hex = "0123456789abcdef".repeat(4);
        let good = format!("SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;x-sdk-date, Signature={hex}");
        let read = Authorization::parse(good.as_bytes()).unwrap();
        assert_eq!(read.access_key, "AK1");
        assert_eq!(read.signed_headers, ["host", "x-sdk-date"]);
        assert_eq!(hex::encode(read.signature), hex);
        let with = |from: &str, to: &str| good.replacen(from, to, 1);
        for bad in [
            String::new(),
            "SDK-HMAC-SHA256".to_owned(),
            "SDK-HMAC-SHA256 ".to_owned(),
            with("SHA256 ", "SHA256,"),
            with("SHA256", "SHA512"),
            with("SHA256", "SM3"),
            with("SDK", "V11"),
            with("Access=AK1, ", ""),
            with("Access=AK1", "Access="),
            with("Access=AK1", "Access=AK 1"),
            with("Access=AK1", "Access=AK1'--"),
            with("Access=AK1", &format!("Access={}", "A".repeat(65))),
            with("Access=AK1", "Access=AK1, Access=AK1"),
            with("Access", "access"),
            with("host;", "").replace("x-sdk-date", "host"),
            with("host;", "Host;"),
            with("host;", ";"),
            with("host;", "host;host;"),
            with("host;", "ho st;"),
            with("host", &(0..64).map(|n| format!("h{n}")).collect::<Vec<_>>().join(";")),
            with(", Signature", ", More=1, Signature"),
            with(&hex, ""),
            with(&hex, &hex[1..]),
            with(&hex, &format!("{hex}00")),
            with(&hex, &hex.to_uppercase()),
            with(&hex, &"g".repeat(64)),
            format!("{good},"),
            format!("{good}, "),
        ] {
            assert_eq!(Authorization::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Authorization::parse(b"SDK-HMAC-SHA256 Access=\xff"), None);
    }

    #[test]
    fn a_signed_header_is_there_once() {
        let line = format!(
            "{ALGORITHM} Access=A, SignedHeaders=host;x-sdk-date, Signature={}",
            "0".repeat(64)
        );
        let authorization = Authorization::parse(line.as_bytes()).unwrap();
        let text = |headers: &[(&'static str, &'static str)]| {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name, value);
            }
            authorization.text(&Method::GET, "/", "", &map, "")
        };
        let (host, date) = (("host", "a"), ("x-sdk-date", "20260115T083000Z"));
        assert!(text(&[host, date]).is_some());
        assert!(text(&[host]).is_none() && text(&[date]).is_none());
        assert!(text(&[host, date, date]).is_none() && text(&[host, host, date]).is_none());
        assert_eq!(text(&[("host", " a\t"), date]), text(&[host, date]));
        assert_ne!(text(&[("host", "b"), date]), text(&[host, date]));
    }

    #[test]
    fn dates_have_one_form() {
        assert_eq!(date(b"20260115T083000Z"), Some(Time(1_768_465_800_000)));
        for bad in [
            "",
            "20260115T083000",
            "20260115t083000Z",
            "20260115 083000Z",
            "20261315T083000Z",
            "20260230T083000Z",
            "20260115T243000Z",
            "+2026115T083000Z",
            "20260115T0830000Z",
            "２0260115T08300",
        ] {
            assert_eq!(date(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_body_is_what_the_headers_say() {
        let headers = |value: &[u8]| HeaderMap::from_iter([(CONTENT, HeaderValue::from_bytes(value).unwrap())]);
        let none = HeaderMap::new();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Payload::of(&none).text(&none, b"").unwrap(), empty);
        let real = Payload::Hashed.text(&none, b"x").unwrap();
        let named = headers(real.as_bytes());
        assert_eq!(Payload::of(&named).text(&named, b"x").unwrap(), real);
        assert_eq!(Payload::of(&named).text(&named, b"y"), None);
        assert_eq!(Payload::Hashed.text(&named, b"").unwrap(), empty);
        let unsigned = headers(UNSIGNED.as_bytes());
        assert_eq!(Payload::of(&unsigned), Payload::Unsigned);
        assert_eq!(Payload::Unsigned.text(&unsigned, b"x").unwrap(), UNSIGNED);
        for other in [&b"unsigned-payload"[..], b"STREAMING", b"", b"\xff"] {
            assert_eq!(Payload::of(&headers(other)).text(&headers(other), b"x"), None);
        }
        let mut twice = unsigned;
        twice.append(CONTENT, HeaderValue::from_static("x"));
        assert_eq!(Payload::of(&twice).text(&twice, b"x"), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            parse_any(&bytes);
            let line = [format!("{ALGORITHM} ").as_bytes(), &bytes].concat();
            parse_any(&line);
        }

        #[test]
        fn what_is_nearly_right_breaks_nothing(
            key in "[A-Z0-9=, ]{0,24}", names in "[a-z0-9;,=-]{0,40}", signature in "[0-9a-f]{62,66}", rest in ".{0,80}",
        ) {
            let line = format!("{ALGORITHM} Access={key}, SignedHeaders={names};x-sdk-date, Signature={signature}\n{rest}");
            parse_any(line.as_bytes());
        }

        #[test]
        fn a_canonical_form_is_its_own(path in "(/[a-z%0-9+ ~é]{0,8}){0,4}", query in "([a-c%2+é]{0,4}=?[a-c%2+é&]{0,6}){0,4}") {
            let path = canonical_path(&path);
            prop_assert_eq!(canonical_path(&path), path.clone());
            let query = canonical_query(&query);
            prop_assert_eq!(canonical_query(&query), query.clone());
        }

        #[test]
        fn the_order_of_parameters_does_not_matter(mut pairs in proptest::collection::vec("[a-c]=[a-c%+]{0,3}", 0..6)) {
            let one = canonical_query(&pairs.join("&"));
            pairs.reverse();
            prop_assert_eq!(canonical_query(&pairs.join("&")), one);
        }

        #[test]
        fn what_is_encoded_is_what_was_meant(name in "\\PC{1,12}", value in "\\PC{0,12}") {
            let query = format!("{}={}", encoded(name.as_bytes()), encoded(value.as_bytes()));
            prop_assert_eq!(canonical_query(&query), query.clone());
            let path = format!("/{}/", encoded(name.replace('/', "").as_bytes()));
            prop_assert_eq!(canonical_path(&path), path.clone());
        }
    }
}
