"""The small world of the tiny profile: scenes, renderer, language, tasks and checkers."""
