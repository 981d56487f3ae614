"""What several processors reach, side by side, from the reports that were written on each.

    [report, report] --comparison--> rows of a table, a column for each report
"""

SHARES = {"encode_share": "efficientnet_lite0 encodes, files read included",
          "encode_resnet50_share": "resnet50 encodes, files read included",
          "train_lstm_share": "an LSTM trains",
          "train_attention_share": "adaptive attention trains",
          "train_transformer_share": "a Transformer trains"}
RATIOS = {"encode_lite0_ratio": "efficientnet_lite0 encodes",
          "encode_compiled_ratio": "efficientnet_lite0 in OpenVINO, not in PyTorch",
          "train_ratio": "an LSTM trains", "beam_ratio": "beam search",
          "score_ratio": "BLEU, ROUGE-L and CIDEr-D"}


def products(report):
    """Return {type of numbers: FLOP/s} of the processor that was measured."""
    return {name.removesuffix("_flops"): limit for name, limit in report["limits"].items()
            if name.endswith("_flops")}


def processor(report):
    """Return what a report was measured on, as the head of a column."""
    found, machine = products(report), report["machine"]
    compiled = " with OpenVINO" if machine.get("openvino") else ""
    return (f"{machine['cpu']}, {machine['instructions']}, "
            + ", ".join(f"{limit / 1e9:.0f} in {name}" for name, limit in found.items())
            + compiled)


def comparison(reports, rates):
    """Return the rows of the table of what the processors reach, a column for each report.

    rates: label of each key that is a rate a second.
    """
    def row(what, key, form):
        return [what, *(form.format(one[key]) if key in one else "" for one in reports)]

    return [*(row(what, key, "{:,.0f}") for key, what in rates.items()),
            *(row(f"share of the limit: {what}", key, "{:.2f}") for key, what in SHARES.items()),
            *(row(f"times the usual way: {what}", key, "{:.1f}") for key, what in RATIOS.items())]
