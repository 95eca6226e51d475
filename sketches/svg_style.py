"""CSS in an SVG, written into attributes: afterwards an element's look is in its own attributes and in those around it."""

import re
from typing import Any
from xml.etree.ElementTree import Element

import cssselect2
import tinycss2

MAX_CSS = 100_000  # characters: it is parsed at a few megabytes a second
MAX_RULES = 2_000  # each is matched against each element
MAX_MATCHES = 5_000_000


def inline_styles(root: Element) -> None:
    """Write the declarations of `<style>` elements and `style` attributes into attributes, where they have the last word.

    Rules for screens count; those for print, for a dark mode or with selectors that nobody knows are left out, as is all
    CSS of a sheet so large that matching it would take long.
    """
    rules: list[tuple[Any, dict[str, str]]] = []
    sheets = list(root.iter("style"))
    if sum(len(style.text or "") for style in sheets) > MAX_CSS:
        sheets = []
    for style in sheets:
        rules += _rules(tinycss2.parse_stylesheet(style.text or "", skip_comments=True, skip_whitespace=True))
    elements = sum(1 for _ in root.iter())
    if rules and len(rules) <= MAX_RULES and len(rules) * elements <= MAX_MATCHES:
        matcher = cssselect2.Matcher()
        for selector, declared in rules:
            matcher.add_selector(selector, declared)
        for wrapper in cssselect2.ElementWrapper.from_xml_root(root).iter_subtree():
            for _, _, _, declared in sorted(matcher.match(wrapper), key=lambda match: match[:2]):
                wrapper.etree_element.attrib.update(declared)
    for element in root.iter():
        if "style" in element.attrib:
            element.attrib.update(_declarations(element.attrib.pop("style")))
        element.attrib.pop("class", None)
    for parent in list(root.iter()):
        for style in parent.findall("style"):
            parent.remove(style)


def _rules(parsed: list[Any]) -> list[tuple[Any, dict[str, str]]]:
    found: list[tuple[Any, dict[str, str]]] = []
    for rule in parsed:
        if rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content:
            if tinycss2.serialize(rule.prelude).strip().lower() in ("screen", "all"):
                found += _rules(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True))
        elif rule.type == "qualified-rule":
            try:
                selectors = cssselect2.compile_selector_list(rule.prelude)
            except cssselect2.SelectorError:
                continue
            declared = _declarations(rule.content)
            found += [(selector, declared) for selector in selectors if selector.pseudo_element is None]
    return found


def _declarations(content: Any) -> dict[str, str]:
    parsed = tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True)
    # In CSS an `!important` declaration wins over later ones of the same block.
    known = sorted((one for one in parsed if one.type == "declaration"), key=lambda one: one.important)
    return {
        one.lower_name: _unitless(one.lower_name, tinycss2.serialize(one.value).strip())
        for one in known
        if one.lower_name.replace("-", "").isalpha() and not one.lower_name.startswith(("-", "on"))
    }


def _unitless(name: str, value: str) -> str:
    """A transform as attributes know it: in pixels and degrees, without units."""
    return re.sub(r"(?<=[\d.])(px|deg)\b", "", value) if name == "transform" else value
