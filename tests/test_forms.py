"""Forms are looked at before they are parsed."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from web.forms import HEAD, PARTS, check_form
from web.problems import InvalidRequest

PART = '--b\r\nContent-Disposition: form-data; name="k"\r\n'


@pytest.mark.parametrize(
    ("body", "boundary", "said"),
    [
        (f"{PART}\r\n3\r\n--b--\r\n", "other", "no parts"),
        (f"{PART}\r\n3\r\n--b--\r\n", "", "no parts"),
        ("", "b", "no parts"),
        ("\r\n" * HEAD + f"{PART}\r\n3\r\n--b--\r\n", "b", "no parts"),
        (f"{PART}\r\n" * (PARTS + 1), "b", "too many parts"),
        (PART * 50_000, "b", "does not end"),
        ("--b\r\n" + "X-Y: z\r\n" * 50_000 + "\r\n3\r\n--b--\r\n", "b", "does not end"),
    ],
)
def test_what_is_no_form_is_refused_before_it_is_parsed(body: str, boundary: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_form(body.encode(), boundary)
    assert said in refused.value.errors[0].message


@given(
    fields=st.dictionaries(st.sampled_from(["k", "text", "label"]), st.text(max_size=40)),
    data=st.binary(max_size=2_000),
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
)
def test_every_form_of_a_client_passes(fields: dict[str, str], data: bytes, name: str) -> None:
    form = EnvironBuilder(method="POST", data={**fields, "file": (BytesIO(data), name)})
    request = form.get_request()
    check_form(request.get_data(), request.mimetype_params["boundary"])
    form.close()
