//! The kernel's part of counting: two eBPF programs that add the length of each packet of a control group to a map.
//!
//! They are a dozen instructions, so they are written here and packed into the ELF object that the loader asks for,
//! instead of being compiled by a C compiler at build time.

use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Relocation, RelocationFlags, SectionId, Symbol, SymbolId, SymbolSection},
};

/// Names in the object.
pub const COUNTS: &str = "counts";
pub const EGRESS: &str = "egress";
pub const INGRESS: &str = "ingress";
/// Places in the map.
pub const SENT: u32 = 0;
pub const RECEIVED: u32 = 1;

/// The loopback interface has this number in every network namespace.
const LOOPBACK: i32 = 1;
/// Offsets in `struct __sk_buff`.
const LENGTH: i16 = 0;
const INTERFACE: i16 = 40;

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const MAP_LOOKUP_ELEM: i32 = 1;
const R_BPF_64_64: u32 = 1;
/// The instruction, counted from 0, that loads the map's address.
const LOAD_MAP_AT: u64 = 6;

/// One instruction: opcode, target and source register, jump, constant.
fn instruction(opcode: u8, target: u8, source: u8, offset: i16, constant: i32) -> [u8; 8] {
    let (offset, constant) = (offset.to_ne_bytes(), constant.to_ne_bytes());
    let registers = if cfg!(target_endian = "little") {
        source << 4 | target
    } else {
        target << 4 | source
    };
    [
        opcode,
        registers,
        offset[0],
        offset[1],
        constant[0],
        constant[1],
        constant[2],
        constant[3],
    ]
}

/// Adds the length of a packet that does not go over the loopback to a place in the map, and lets every packet pass.
fn program(place: u32) -> Vec<u8> {
    const LOAD_WORD: u8 = 0x61;
    const STORE_WORD: u8 = 0x62;
    const LOAD_ADDRESS: u8 = 0x18;
    const ADD_IN_MEMORY: u8 = 0xdb;
    const MOVE: u8 = 0xbf;
    const SET: u8 = 0xb7;
    const ADD: u8 = 0x07;
    const JUMP_IF_EQUAL: u8 = 0x15;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    [
        instruction(MOVE, 6, 1, 0, 0),                    // 0: r6 = packet
        instruction(LOAD_WORD, 0, 6, INTERFACE, 0),       // 1: r0 = its interface
        instruction(JUMP_IF_EQUAL, 0, 0, 9, LOOPBACK),    // 2: to 12
        instruction(STORE_WORD, 10, 0, -4, place as i32), // 3: the key, on the stack
        instruction(MOVE, 2, 10, 0, 0),                   // 4: r2 = the key's address
        instruction(ADD, 2, 0, 0, -4),                    // 5
        instruction(LOAD_ADDRESS, 1, 0, 0, 0),            // 6: r1 = the map, filled in by the loader
        instruction(0, 0, 0, 0, 0),                       // 7
        instruction(CALL, 0, 0, 0, MAP_LOOKUP_ELEM),      // 8: r0 = the counter
        instruction(JUMP_IF_EQUAL, 0, 0, 2, 0),           // 9: to 12
        instruction(LOAD_WORD, 1, 6, LENGTH, 0),          // 10: r1 = the packet's length
        instruction(ADD_IN_MEMORY, 0, 1, 0, 0),           // 11: *r0 += r1
        instruction(SET, 0, 0, 0, 1),                     // 12: r0 = let it pass
        instruction(EXIT, 0, 0, 0, 0),                    // 13
    ]
    .concat()
}

/// The object with both programs and their map.
///
/// # Errors
/// When it cannot be written, which nothing outside this module has a part in.
pub fn object() -> Result<Vec<u8>, object::write::Error> {
    let endianness = if cfg!(target_endian = "little") {
        Endianness::Little
    } else {
        Endianness::Big
    };
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, endianness);
    let license = section(&mut object, "license", SectionKind::Data);
    object.append_section_data(license, b"Dual MIT/GPL\0", 1);
    let maps = section(&mut object, "maps", SectionKind::Data);
    // Kind, size of a key and of a value, entries, flags.
    let definition = [BPF_MAP_TYPE_ARRAY, 4, 8, 2, 0];
    let map = add(
        &mut object,
        maps,
        COUNTS,
        SymbolKind::Data,
        &definition.map(u32::to_ne_bytes).concat(),
    );
    for (name, place) in [(EGRESS, SENT), (INGRESS, RECEIVED)] {
        let code = section(&mut object, &format!("cgroup_skb/{name}"), SectionKind::Text);
        add(&mut object, code, name, SymbolKind::Text, &program(place));
        object.add_relocation(
            code,
            Relocation {
                offset: LOAD_MAP_AT * 8,
                symbol: map,
                addend: 0,
                flags: RelocationFlags::Elf { r_type: R_BPF_64_64 },
            },
        )?;
    }
    object.write()
}

fn section(object: &mut Object<'_>, name: &str, kind: SectionKind) -> SectionId {
    object.add_section(Vec::new(), name.as_bytes().to_vec(), kind)
}

fn add(object: &mut Object<'_>, section: SectionId, name: &str, kind: SymbolKind, data: &[u8]) -> SymbolId {
    let value = object.append_section_data(section, data, 8);
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size: data.len() as u64,
        kind,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}
