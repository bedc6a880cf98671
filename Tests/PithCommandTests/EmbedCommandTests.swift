import Foundation
import PithCore
import PithTestSupport
import Testing

/// What `pith embed` writes, and what other commands say of an encoder.
@Suite struct EmbedCommandTests {
    private let encoder = GoldenModels.path("sentences")

    @Test func linesOfJSON() throws {
        try TestData.withTemporaryFolder { folder in
            try AtomicFile.write("the cat\r\n\nthe mat\n", to: joinPath(folder, "texts"))
            let ending = try Program.run(["embed", encoder, "a b", "--text", "texts"], in: folder)
            #expect(ending.status == 0 && ending.errors.isEmpty)
            let vectors = try ending.output.split(separator: "\n").map { line in
                try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Double])
            }
            // One on the command line, and three lines of which one is empty.
            #expect(vectors.map(\.count) == [10, 10, 10, 10])
            for vector in vectors { #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
            let objects = try Program.run(["embed", encoder, "a b", "--json"], in: folder)
            let object = try JSONSerialization.jsonObject(with: Data(objects.output.utf8)) as? [String: Any]
            #expect(object?["text"] as? String == "a b" && object?["tokens"] as? Int == 4)
            #expect(object?["vector"] as? [Double] == vectors[0])
        }
    }

    @Test func filesOfFloats() throws {
        try TestData.withTemporaryFolder { folder in
            for name in ["v.npy", "v.safetensors", "v.jsonl"] {
                #expect(try Program.run(["embed", encoder, "a b", "c", "-o", name], in: folder).status == 0)
            }
            let bytes = try Files.bytes(joinPath(folder, "v.npy"))
            #expect(bytes.count == 128 + 4 * 20 && bytes.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0]))
            let header = String(decoding: bytes[10..<128], as: UTF8.self)
            #expect(
                header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 10,), }")
                    && header.hasSuffix("\n"))
            // The same floats in all.
            let tensors = try Files.bytes(joinPath(folder, "v.safetensors"))
            #expect(tensors.suffix(80).elementsEqual(bytes.suffix(80)))
            let lines = try Files.text(joinPath(folder, "v.jsonl")).split(separator: "\n").flatMap { line in
                try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Double])
            }
            let floats = bytes.suffix(80).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            #expect(lines.map { Float($0) } == floats)
        }
    }

    @Test func whatIsRefused() throws {
        try TestData.withTemporaryFolder { folder in
            for (arguments, word) in [
                (["embed", encoder], "no texts"), (["embed", encoder, "a", "-o", "v.bin"], ".npy"),
                (["embed", encoder, "a", "--prompt", "q"], "document, query"),
                (["run", encoder, "a"], "is an encoder"),
                (["eval", encoder], "is an encoder"), (["eval", encoder, "--task", "stsb"], "--data"),
                (["eval", encoder, "--task", "sts", "--data", "."], "stsb"),
                (["compare", encoder, "rtn"], "is an encoder"), (["measure", encoder], "is an encoder"),
            ] {
                let ending = try Program.run(arguments, in: folder)
                #expect(ending.status != 0 && ending.errors.contains(word), "\(arguments)")
            }
        }
    }

    /// A compressed folder has the modules, and makes vectors; what it does not read stays behind.
    @Test func compression() throws {
        try TestData.withTemporaryFolder { folder in
            #expect(try Program.run(["compress", encoder, "rtn:bits=8", "-o", "small"], in: folder).status == 0)
            #expect(Files.exists(joinPath(folder, "small/2_Dense/model.safetensors")))
            let before = try Program.run(["embed", encoder, "the cat is on the mat"], in: folder)
            let after = try Program.run(["embed", "small", "the cat is on the mat"], in: folder)
            let vectors = try [before, after].map { ending in
                try #require(JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [Double])
            }
            let cosine = zip(vectors[0], vectors[1]).reduce(0) { $0 + $1.0 * $1.1 }
            #expect(cosine > 0.99 && vectors[0] != vectors[1])
            #expect(try Program.run(["inspect", "small"], in: folder).status == 0)
            // Calibration reads more than one sequence, each from the first position on.
            let text = (0..<40).map { "The cat \($0) isn't on the mat, it's under it.\n" }.joined()
            try AtomicFile.write(text, to: joinPath(folder, "text"))
            let spec = ["gptq:bits=4", "--calibration", "text", "-o", "smaller"]
            #expect(try Program.run(["compress", encoder] + spec, in: folder).status == 0)
            #expect(try Program.run(["embed", "smaller", "the cat"], in: folder).status == 0)
        }
    }
}
