"""Run compiled CNNs: the host between SCNN's runs, and EIE behind them."""
