"""A model is shown what a system turn says, whatever its chat template makes of such a turn."""

from collections.abc import Callable, Sequence

import jinja2
import pytest
from judging.cases import picture

from medgen.adapters.images.content import content
from medgen.adapters.models.system_turn import fold_system, system_turn
from medgen.engine.chat.messages import Message
from medgen.engine.errors import AdapterError

_WALK = (
    "{% if t['content'] is string %}{{ t['content'] }}{% else %}"
    "{% for p in t['content'] %}{{ p['text'] }}{% endfor %}{% endif %}"
)
_LOOP = "{% for t in messages %}[{{ t['role'] }}] "
TEMPLATES = {
    "walks every turn": (_LOOP + _WALK + "{% endfor %}", "own"),
    "prints a system turn's parts as Python": (
        _LOOP
        + "{% if t['role'] == 'system' %}{{ t['content'] }}{% else %}"
        + _WALK
        + "{% endif %}{% endfor %}",
        "folded",
    ),
    "leaves a system turn out": (
        "{% for t in messages if t['role'] != 'system' %}" + _WALK + "{% endfor %}",
        "folded",
    ),
    "refuses a system turn": (
        _LOOP
        + "{% if t['role'] == 'system' %}{{ nothing.at_all }}{% endif %}"
        + _WALK
        + "{% endfor %}",
        "folded",
    ),
    "has a system turn of its own": (
        "You are a helpful assistant. {% for t in messages if t['role'] == 'user' %}"
        + _WALK
        + "{% endfor %}",
        "folded",
    ),
    "shows the first user's turn only": (_LOOP + _WALK + "{% endfor %} over", "own"),
}
USELESS = {
    "no template": "",
    "one fixed text": "Describe the picture.",
    "Python for every turn": _LOOP + "{{ t['content'] }}{% endfor %}",
    "refuses everything": "{{ nothing.at_all }}",
}


def rendering(template: str) -> Callable[[Sequence[Message]], str]:
    """As vLLM hands turns over: each with a list of parts."""

    def render(messages: Sequence[Message]) -> str:
        turns = content(messages)
        for turn in turns:
            if isinstance(turn["content"], str):
                turn["content"] = [{"type": "text", "text": turn["content"]}]
        return jinja2.Template(template, undefined=jinja2.StrictUndefined).render(messages=turns)

    return render


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_system_turn_is_told_where_it_can_be_read(name: str) -> None:
    template, way = TEMPLATES[name]
    render = rendering(template)
    assert system_turn(render) == way
    turns = (Message("system", ("Be brief.",)), Message("user", ("Which organ?",)))
    text = render(fold_system(turns) if way == "folded" else turns)
    assert "Be brief." in text
    assert "Which organ?" in text
    assert "{'type'" not in text


@pytest.mark.parametrize("name", USELESS)
def test_a_template_that_shows_nothing_ends_the_start(name: str) -> None:
    with pytest.raises(AdapterError, match=r"give `template: \{chat_template: FILE\}`"):
        system_turn(rendering(USELESS[name]))


def test_folding_keeps_pictures_words_and_later_turns_in_order() -> None:
    one, two = picture(), picture((1, 2, 3))
    later = Message("user", ("more",))
    turns = (Message("system", ("S1", "S2")), Message("user", (one, "a", two, "b")), later)
    assert fold_system(turns) == (Message("user", (one, "S1\n\nS2\n\na", two, "b")), later)
    assert fold_system(turns[1:]) == turns[1:]
    assert fold_system((turns[0], Message("user", (one,)))) == (Message("user", (one, "S1\n\nS2")),)
    assert fold_system(turns[:1]) == (Message("user", ("S1\n\nS2",)),)
