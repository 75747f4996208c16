"""An example plugin of cxmodel: a metric, an exporter and a reader."""

from cxmodel_example.answer_wait import AnswerWait, Waits
from cxmodel_example.edge_csv import EdgeCsv
from cxmodel_example.help_desk import HelpDesk

__all__ = ["AnswerWait", "EdgeCsv", "HelpDesk", "Waits"]
