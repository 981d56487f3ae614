from attention import AdaptiveAttention as Transformer, AdaptiveAttention as ObjectTransformer
