import pytest

from snapshotd import errors
from snapshotd.kube import proxy

URL = "https://api.example.com:6443"
VIA = "http://proxy.example.com:3128"


def test_the_kubeconfig_comes_first() -> None:
    assert proxy.resolve(URL, VIA, {"HTTPS_PROXY": "http://other", "NO_PROXY": "*"}) == VIA


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_environment_is_asked_by_scheme(name: str) -> None:
    assert proxy.resolve(URL, None, {name: VIA}) == VIA
    assert proxy.resolve("http://api.example.com", None, {name: VIA}) is None


def test_a_proxy_without_a_scheme_is_an_http_proxy() -> None:
    assert proxy.resolve(URL, None, {"HTTPS_PROXY": "proxy:3128"}) == "http://proxy:3128"


def test_no_proxy_is_a_direct_connection() -> None:
    assert proxy.resolve(URL, None, {}) is None


@pytest.mark.parametrize(
    ("url", "exceptions", "direct"),
    [
        (URL, "*", True),
        (URL, "example.com", True),
        (URL, ".example.com", True),
        (URL, "*.example.com", True),
        (URL, "API.example.com", True),
        (URL, "foo,  example.com ", True),
        (URL, "example.com:6443", True),
        (URL, "example.com:443", False),
        (URL, "ample.com", False),
        (URL, "", False),
        ("https://example.com", ".example.com", False),
        ("https://example.com", "example.com:443", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.2.4:6443", False),
        ("https://10.1.2.3", "192.168.0.0/16", False),
        ("https://10.1.2.3", "2.3", False),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://127.0.0.1:6443", "", True),
        ("https://localhost:6443", "", True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(url: str, exceptions: str, direct: bool) -> None:  # noqa: FBT001
    found = proxy.resolve(url, None, {"HTTPS_PROXY": VIA, "NO_PROXY": exceptions})

    assert found == (None if direct else VIA)


@pytest.mark.parametrize("bad", ["socks5://proxy:1080", "http://", "ftp://proxy"])
def test_a_proxy_that_cannot_be_used_is_named_by_its_source(bad: str) -> None:
    with pytest.raises(errors.Misconfigured, match="HTTPS_PROXY"):
        proxy.resolve(URL, None, {"HTTPS_PROXY": bad})
    with pytest.raises(errors.Misconfigured, match="proxy-url"):
        proxy.resolve(URL, bad, {})
