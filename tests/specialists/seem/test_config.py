import json

import pytest

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.seem import SeemConfig


def test_a_configuration_survives_its_file(tmp_path, config):
    config.save(tmp_path / "config.json")
    assert SeemConfig.load(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "unreadable"),
        ("[]", "JSON object"),
        ('{"colour": 1}', "colour"),
        ('{"queries": "many"}', "many"),
        ('{"queries": true}', "True"),
        ('{"text_threshold": "low"}', "low"),
        ('{"depths": [1, 1, "x", 1]}', "depths"),
        ('{"hidden_dim": 48}', "48"),
        ('{"queries": 0}', "0"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path, content, named):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=named) as caught:
        SeemConfig.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="config.json is missing"):
        SeemConfig.load(tmp_path / "config.json")


def test_whole_numbers_serve_as_floats(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"text_threshold": 0, "layerscale": 1}))
    config = SeemConfig.load(tmp_path / "c.json")
    assert (config.text_threshold, config.layerscale) == (0.0, 1.0)
