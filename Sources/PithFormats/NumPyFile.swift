import PithCore
import PithTensor

/// Writes arrays as NumPy reads them: files of the format `.npy`, version 1.0.
public enum NumPyFile {
    /// Writes floats of 32 bits in row-major order to a file that appears at `path` when it is whole.
    public static func write(_ tensor: Tensor, to path: String) throws(PithError) {
        let extents = tensor.shape.map { "\($0)," }.joined(separator: " ")
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
        // The data begin on a multiple of 64.
        let start = [0x93] + Array("NUMPY".utf8) + [1, 0]
        header += String(repeating: " ", count: 63 - (start.count + 2 + header.utf8.count) % 64) + "\n"
        let length = header.utf8.count
        var bytes = start + [UInt8(length & 0xFF), UInt8(length >> 8)] + Array(header.utf8)
        bytes.reserveCapacity(bytes.count + 4 * tensor.count)
        for value in tensor.values { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
        try AtomicFile.write(bytes, to: path)
    }
}
