import PithCore

extension TrainingConfiguration {
    /// Says which value is out of range.
    func validate() throws(PithError) {
        let positive: [(String, Int)] = [
            ("vocabularySize", model.vocabularySize), ("hiddenSize", model.hiddenSize),
            ("layerCount", model.layerCount), ("headCount", model.headCount),
            ("keyValueHeadCount", model.keyValueHeadCount), ("intermediateSize", model.intermediateSize),
            ("contextLength", model.contextLength), ("sequenceLength", sequenceLength), ("batchSize", batchSize),
            ("accumulation", accumulation), ("steps", steps), ("gradientLanes", gradientLanes),
        ]
        for (name, value) in positive {
            try require((1...1 << 24).contains(value), name, "\(value)", "a whole number from 1 to 16777216")
        }
        try require(gradientLanes <= 64, "gradientLanes", "\(gradientLanes)", "1 to 64")
        try require(
            model.hiddenSize % model.headCount == 0 && model.headSize % 2 == 0, "headCount", "\(model.headCount)",
            "a divisor of hiddenSize (\(model.hiddenSize)) that leaves heads of an even size")
        try require(
            model.headCount % model.keyValueHeadCount == 0, "keyValueHeadCount", "\(model.keyValueHeadCount)",
            "a divisor of headCount (\(model.headCount))")
        try require(
            sequenceLength <= model.contextLength, "sequenceLength", "\(sequenceLength)",
            "at most contextLength (\(model.contextLength))")
        try require((0...steps).contains(warmupSteps), "warmupSteps", "\(warmupSteps)", "0 to steps (\(steps))")
        let fractions = [("finalFraction", finalFraction), ("beta1", beta1), ("beta2", beta2)]
        for (name, value) in fractions { try require((0...1).contains(value), name, "\(value)", "0 to 1") }
        try require(beta1 < 1 && beta2 < 1, "beta1 and beta2", "\(beta1) and \(beta2)", "below 1")
        try require(learningRate > 0 && learningRate < 10, "learningRate", "\(learningRate)", "above 0, below 10")
        try require((0..<10).contains(weightDecay), "weightDecay", "\(weightDecay)", "from 0, below 10")
        try require(gradientClip > 0, "gradientClip", "\(gradientClip)", "above 0")
        try require(model.ropeTheta > 0 && model.ropeTheta.isFinite, "ropeTheta", "\(model.ropeTheta)", "above 0")
        try require(
            model.normEpsilon > 0 && model.normEpsilon < 1, "normEpsilon", "\(model.normEpsilon)", "above 0, below 1")
    }

    private func require(_ holds: Bool, _ name: String, _ value: String, _ right: String) throws(PithError) {
        if !holds { throw .usage("\(name) is \(value)", at: "training configuration", remedy: right) }
    }
}
