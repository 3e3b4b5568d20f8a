import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage

from vitron_agent import build
from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.graphs import user_turn
from vitron_agent.media import Folders, MediaSources, MediaStore, encode_png
from vitron_agent.parts import Profile
from vitron_agent.profiles import PROFILES
from vitron_agent.testing import EchoSpecialist, EchoVideoMaker, ScriptedPlanner, call, paint
from vitron_agent.tools import TOOLS


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


def test_importing_build_is_cheap() -> None:
    code = "import sys, vitron_agent.build; print([m for m in ('torch', 'langgraph', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tools_of_a_profile_load_nothing(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = PROFILES["tiny"]
    monkeypatch.setitem(PROFILES, "tiny", replace(tiny, parts=(*tiny.parts, *tiny.extras), extras=()))
    monkeypatch.setattr(build, "build_specialist", lambda name, profile, **where: pytest.fail("loaded too early"))
    names = [tool.name for tool in build.vitron_tools("tiny", store)]
    assert names == list(TOOLS)


def test_tools_of_extras_are_offered_only_where_their_weights_are(store: MediaStore, hollow: Path) -> None:
    def offered(**own: type[EchoVideoMaker]) -> set[str]:
        return {tool.name for tool in build.vitron_tools("tiny", store, specialists=own)}

    without = set(TOOLS) - {"generate_video", "animate_image"}
    assert offered() == without
    assert offered(i2vgen_xl=EchoVideoMaker) == without | {"animate_image"}
    for file in PROFILES["tiny"].part("zeroscope").files:
        (hollow / file).parent.mkdir(parents=True, exist_ok=True)
        (hollow / file).touch()
    assert offered() == without | {"generate_video"}


def test_a_call_of_a_tool_without_weights_is_answered(store: MediaStore, hollow: Path) -> None:
    planner = ScriptedPlanner(replies=[[call("generate_video", command="a star moves left")], "I cannot."])
    out = build.build_agent(store=store, planner=planner).invoke({"messages": [user_turn("a film, please")]})
    assert out["messages"][-2].content == "Result: not done: generate_video is not at hand here"
    assert out["messages"][-1].content == "I cannot."


def test_videos_are_made_of_words_and_of_pictures(store: MediaStore, hollow: Path) -> None:
    maker = EchoVideoMaker()
    make, animate = call("generate_video", command="a star grows"), call("animate_image", command="it shrinks")
    draw = call("generate_image", command="a star")
    planner = ScriptedPlanner(replies=[[make], [draw], [animate], "Done."])
    own = {"zeroscope": lambda: maker, "i2vgen_xl": lambda: maker, "gligen": EchoSpecialist}
    out = build.build_agent(store=store, planner=planner, specialists=own).invoke({"messages": [user_turn("go")]})
    kinds = [(entry["kind"], entry["number"], entry["origin"]) for entry in out["media"]]
    assert kinds == [("video", 1, "generate_video"), ("picture", 1, "generate_image"), ("video", 2, "animate_image")]
    assert [request.image is None for request in maker.requests] == [True, False]


def test_an_agent_with_another_planner(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    echo = EchoSpecialist()
    built = []
    monkeypatch.setattr(build, "build_specialist", lambda name, profile, **where: built.append(name) or echo)
    planner = ScriptedPlanner(replies=[[call("generate_image", command="a star")], "Done."])
    agent = build.build_agent("tiny", store=store, planner=planner)
    out = agent.invoke({"messages": [user_turn("draw a star")]})
    assert out["messages"][-1].content == "Done."
    assert built == ["gligen"]


@pytest.mark.parametrize("make", [build.build_planner, build.vitron_tools, build.build_agent])
def test_unknown_profiles_are_refused(make) -> None:
    with pytest.raises(InputError, match="choose one of tiny, vitron-7b"):
        make("nonsense")


def test_unknown_specialists_are_refused() -> None:
    with pytest.raises(InputError, match="'painter' is unknown: choose one of gligen, gligen_inpaint, seem"):
        build.build_specialist("painter")


@pytest.fixture
def hollow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile `tiny` whose folder is empty."""
    monkeypatch.setitem(PROFILES, "tiny", replace(PROFILES["tiny"], folder=tmp_path / "weights"))
    return tmp_path / "weights"


def test_missing_weights_are_named(hollow: Path) -> None:
    with pytest.raises(CheckpointError, match="weights of seem are incomplete: .*config.json is missing; install"):
        build.build_specialist("seem")
    with pytest.raises(CheckpointError, match="weights of planner are incomplete"):
        build.build_planner()


@pytest.mark.parametrize("name", sorted(build.SPECIALISTS.keys() - {"controlnet"}))
def test_truncated_weights_are_a_checkpoint_error(hollow: Path, name: str) -> None:
    for part in (*PROFILES["tiny"].parts, *PROFILES["tiny"].extras):
        for file in part.files:
            path = hollow / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}" if path.suffix == ".json" else b"\x08\0\0\0")
    with pytest.raises(CheckpointError):
        build.build_specialist(name)


def test_the_registries_are_the_profiles_parts() -> None:
    parts = {name: {part.name for part in (*found.parts, *found.extras)} for name, found in PROFILES.items()}
    assert parts["vitron-7b"] == {"planner", *build.SPECIALISTS}
    assert parts["tiny"] - {"mappers"} == {"planner", *build.SPECIALISTS} - {"controlnet"}
    assert set(build.PLANNERS) == set(PROFILES)


def test_a_specialist_that_a_profile_has_no_weights_of_is_refused_and_offered_to_no_tool(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="profile 'tiny' has no controlnet"):
        build.build_specialist("controlnet")
    boxes = []
    monkeypatch.setattr("vitron_agent.tools.make_tools", boxes.append)
    for own in ({}, {"controlnet": EchoSpecialist}):
        build.vitron_tools("tiny", store, specialists=own)
    assert ["controlnet" in box.residents.names for box in boxes] == [False, True]


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_own_specialists_take_the_place_of_the_profiles(
    make, store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "build_specialist", lambda name, profile, **where: pytest.fail(f"{name} was built"))
    mine = EchoSpecialist()
    planner = ScriptedPlanner(replies=[[call("generate_image", command="a star")], "Done."])
    agent = make(store=store, planner=planner, specialists={"gligen": lambda: mine})
    out = agent.invoke({"messages": [user_turn("draw a star")]})
    assert out["media"][0]["origin"] == "generate_image"
    assert [request.signals for request in mine.requests] == [None]


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_users_pictures_come_from_open_sources_only(make, store: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(paint("a picture")))
    message = HumanMessage([{"type": "image", "path": "a.png"}, {"type": "text", "text": "what is this?"}])
    for sources, said in ((MediaSources(folders=Folders(tmp_path)), "A picture."), (None, "is not opened")):
        planner = ScriptedPlanner(replies=["A picture."])
        out = make(store=store, planner=planner, sources=sources).invoke({"messages": [message]})
        assert said in out["messages"][-1].content
        assert len(out["media"]) == (sources is not None)


def test_a_specialist_that_no_tool_asks_for_is_refused(store: MediaStore) -> None:
    with pytest.raises(InputError, match="'tracker' is asked for by no tool: use gligen, gligen_inpaint, seem"):
        build.vitron_tools(store=store, specialists={"tracker": EchoSpecialist})


def test_a_specialist_that_is_built_already_is_refused_at_once(store: MediaStore) -> None:
    with pytest.raises(InputError, match="'gligen' is one EchoSpecialist: give what builds it"):
        build.vitron_tools(store=store, specialists={"gligen": EchoSpecialist()})  # type: ignore[dict-item]


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_a_planner_that_cannot_plan_is_refused_with_the_remedy(make, store: MediaStore) -> None:
    with pytest.raises(InputError, match=r"planner 'openai:gpt-4o' is no chat model: .*init_chat_model"):
        make(store=store, planner="openai:gpt-4o")
    with pytest.raises(InputError, match="planner FakeListChatModel cannot call tools"):
        make(store=store, planner=FakeListChatModel(responses=["Hello."]))


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_bits_of_a_planner_that_is_not_the_profile_s_are_refused(make, store: MediaStore) -> None:
    with pytest.raises(InputError, match="planner_bits=4 is for the profile's planner, and another is given"):
        make("vitron-7b", store=store, planner=ScriptedPlanner(replies=["Hi."]), planner_bits=4)


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent, build.build_planner])
def test_bits_that_cannot_be_had_are_refused_before_anything_is_loaded(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Profile, "missing", lambda self, part: [])
    with pytest.raises(InputError, match="planner_bits=4 needs CUDA, and cpu computes here: leave it out"):
        make("vitron-7b", device="cpu", planner_bits=4)


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_a_planner_may_have_options_bound(make, store: MediaStore) -> None:
    planner = ScriptedPlanner(replies=["Hello."]).bind(stop=["x"])
    assert make(store=store, planner=planner).invoke({"messages": ["hi"]})["messages"][-1].text == "Hello."


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
@pytest.mark.parametrize(("rounds", "asked"), [(None, 8), (1, 1), (30, 30)])
def test_a_turn_has_as_many_rounds_as_it_is_given(make: Any, store: MediaStore, rounds: int | None, asked: int) -> None:
    planner = ScriptedPlanner(replies=[[call("generate_image", command="a star")]])
    agent = make(store=store, planner=planner, specialists={"gligen": EchoSpecialist}, rounds=rounds)
    said = agent.invoke({"messages": [user_turn("draw for ever")]})["messages"][-1].text
    assert len(planner.seen) == asked
    assert f"more than {asked} steps" in said


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
@pytest.mark.parametrize("rounds", [0, -3, True, 2.5, "8"])
def test_a_budget_without_a_round_is_named(make: Any, store: MediaStore, rounds: Any) -> None:
    with pytest.raises(InputError, match="whole number from 1"):
        make(store=store, planner=ScriptedPlanner(), rounds=rounds)
