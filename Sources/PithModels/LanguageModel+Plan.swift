import PithCore

extension LanguageModel {
    /// Runs from now on as a plan says: its cache and its activations. What it says of weights was done when the model
    /// was written.
    public mutating func apply(_ plan: RunPlan) throws(PithError) {
        cache = try CacheCatalogue.method(for: plan.cache)
        precision = try InputCatalogue.method(for: plan.activations).precision
        guard plan.context.stages.isEmpty else {
            throw .unknownMethod(plan.context.stages[0].name, among: [])
        }
    }
}
