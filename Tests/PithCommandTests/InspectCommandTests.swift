import Foundation
import PithCore
import PithTestSupport
import Testing

/// What `pith inspect` says of models of every kind, and what `pith train` takes for a setting.
@Suite struct InspectCommandTests {
    @Test(arguments: [("gpt2", "gpt2"), ("gemma3", "gemma3_text"), ("mamba", "mamba"), ("bert", "bert")])
    func objectsSayWhatTheTextSays(name: String, type: String) throws {
        let model = GoldenModels.path(name)
        try TestData.withTemporaryFolder { folder in
            let text = try Program.run(["inspect", model, "--quiet"], in: folder).output
            let ending = try Program.run(["inspect", model, "--quiet", "--json"], in: folder)
            let object = try #require(
                JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any])
            func number(_ key: String) throws -> Int { try #require(object[key] as? Int, "\(key)") }
            let heads = try number("heads")
            for part in [
                "\(try number("weights")) weights", "\(try number("layers")) layers, width \(try number("width")), ",
                heads > 0 ? "\(heads) heads (\(try number("keyValueHeads")) for keys and values)" : "a state of ",
                "\(try number("intermediateSize")), vocabulary \(try number("vocabulary")), ",
                (object["context"] as? Int).map { "context \($0)" } ?? "a context of any length",
            ] { #expect(text.contains(part), "\(part)") }
            #expect((heads == 0) == (try number("stateBytes") > 0))
            #expect((object["configuration"] as? [String: Any])?["model_type"] as? String == type)
            #expect((object["tensors"] as? [Any])?.isEmpty == false)
        }
    }

    @Test func settingsMayStandBehindListsOfFiles() throws {
        try TestData.withTemporaryFolder { folder in
            try Files.makeFolder(joinPath(folder, "model"))
            try GoldenModels.writeRandomModel(tokenizer: "tiny-gpt2", to: joinPath(folder, "model"))
            try AtomicFile.write(String(repeating: "hello there ", count: 500), to: joinPath(folder, "steps=9"))
            func train(_ words: String...) throws -> Program.Ending {
                try Program.run(
                    ["train", "--from", "model", "--out", "out", "--dry-run", "--text"] + words, in: folder)
            }
            // A file of that name is a file.
            let ending = try train("steps=9", "steps=3", "sequenceLength=16")
            #expect(ending.status == 0 && ending.errors.contains(" 3 steps of "), "\(ending.errors)")
            let unknown = try train("steps=9", "stepps=3")
            #expect(unknown.status != 0 && unknown.errors.contains("'stepps=3' is neither a file nor a setting"))
        }
    }
}
