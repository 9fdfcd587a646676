"""The config of a run, which writes it into its log, its folder and every checkpoint."""

from __future__ import annotations

from mmengine.config import Config


class RunConfig(Config):
    """A config whose text is formatted again only after a change, because formatting takes longer than many a step."""

    @classmethod
    def of(cls, cfg: Config) -> RunConfig:
        """Returns a config that shares the content of ``cfg``."""
        other = cls.__new__(cls)
        other.__dict__.update(cfg.__dict__)  # setting an attribute would set a key
        return other

    @property
    def pretty_text(self) -> str:
        """The config as Python code; what MMEngine returns."""
        content = repr(self._cfg_dict)
        known, text = self.__dict__.get('_formatted', (None, ''))
        if content != known:
            text = super().pretty_text
            self.__dict__['_formatted'] = content, text
        return text
