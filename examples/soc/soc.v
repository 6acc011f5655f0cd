// A system on a chip for simulation: VexRiscv, memory, a UART, and a Zeroskip chip behind Wishbone.
//
//   0x00000000  memory, loaded at time 0 from <+firmware>; the chip's port sees it at the same place
//   0xf0000000  UART: a byte to send; bit 0 is read as 1 while one is being sent
//   0xf0000004  fault: with bit 0, the chip's accesses to the 64 bytes of this address fail
//   0xf0000008  end of the simulation, with a status
//   0xf0010000  registers of the chip; its interrupt is number 0

`ifndef CHIP
`define CHIP scnn_eie_system_wishbone
`endif

module soc #(
    parameter ABITS = 18,  // of a word of 32 bits
    parameter BAUD_CYCLES = 4
) (
    input  wire        clk,
    input  wire        rst,
    output wire        tx,
    output reg         finished,
    output reg  [31:0] status
);
    reg [31:0] memory [0:(1 << ABITS) - 1];
    reg [8*1024-1:0] firmware;

    initial
        if ($value$plusargs("firmware=%s", firmware)) $readmemh(firmware, memory);

    // Processor.
    wire i_cyc, i_stb, d_cyc, d_stb, d_we, interrupt;
    wire [29:0] i_adr, d_adr;
    wire [31:0] d_dat_w;
    wire [3:0] d_sel;
    reg i_ack, d_ack;
    reg [31:0] i_dat, d_dat;
    wire chip_ack;
    wire [31:0] chip_dat;

    VexRiscv cpu (
        .clk(clk),
        .reset(rst),
        .externalResetVector(32'h0),
        .timerInterrupt(1'b0),
        .softwareInterrupt(1'b0),
        .externalInterruptArray({31'b0, interrupt}),
        .iBusWishbone_CYC(i_cyc),
        .iBusWishbone_STB(i_stb),
        .iBusWishbone_ACK(i_ack),
        .iBusWishbone_WE(),
        .iBusWishbone_ADR(i_adr),
        .iBusWishbone_DAT_MISO(i_dat),
        .iBusWishbone_DAT_MOSI(),
        .iBusWishbone_SEL(),
        .iBusWishbone_ERR(1'b0),
        .iBusWishbone_CTI(),
        .iBusWishbone_BTE(),
        .dBusWishbone_CYC(d_cyc),
        .dBusWishbone_STB(d_stb),
        .dBusWishbone_ACK(d_ack | chip_ack),
        .dBusWishbone_WE(d_we),
        .dBusWishbone_ADR(d_adr),
        .dBusWishbone_DAT_MISO(chip_ack ? chip_dat : d_dat),
        .dBusWishbone_DAT_MOSI(d_dat_w),
        .dBusWishbone_SEL(d_sel),
        .dBusWishbone_ERR(1'b0),
        .dBusWishbone_CTI(),
        .dBusWishbone_BTE()
    );

    // Chip.
    wire at_chip = d_adr[29:14] == 16'hf001;
    wire m_cyc, m_stb, m_we;
    wire [31:0] m_adr;
    wire [7:0] m_sel;
    wire [63:0] m_dat_w;
    reg [63:0] m_dat;
    reg m_ack, m_err;

    `CHIP chip (
        .clk_i(clk),
        .rst_i(rst),
        .wbs_cyc_i(d_cyc & at_chip),
        .wbs_stb_i(d_stb & at_chip),
        .wbs_we_i(d_we),
        .wbs_adr_i({d_adr[6:0], 2'b00}),
        .wbs_sel_i(d_sel),
        .wbs_dat_i(d_dat_w),
        .wbs_dat_o(chip_dat),
        .wbs_ack_o(chip_ack),
        .wbm_cyc_o(m_cyc),
        .wbm_stb_o(m_stb),
        .wbm_we_o(m_we),
        .wbm_adr_o(m_adr),
        .wbm_sel_o(m_sel),
        .wbm_dat_o(m_dat_w),
        .wbm_dat_i(m_dat),
        .wbm_ack_i(m_ack),
        .wbm_err_i(m_err),
        .wbm_cti_o(),
        .wbm_bte_o(),
        .interrupt(interrupt)
    );

    // Memory, with a port for each master. Words are answered in the cycle after they were asked for.
    reg [31:0] fault;
    wire d_asks = d_cyc & d_stb & ~d_ack & ~at_chip;
    wire m_asks = m_cyc & m_stb & ~m_ack & ~m_err;
    wire m_fails = fault[0] & (m_adr[31:6] == fault[31:6]);
    wire [ABITS-1:0] m_word = {m_adr[ABITS+1:3], 1'b0};
    integer k;

    always @(posedge clk) begin
        i_ack <= i_cyc & i_stb & ~i_ack & ~rst;
        i_dat <= memory[i_adr[ABITS-1:0]];
        d_ack <= d_asks & ~rst;
        d_dat <= d_adr[29:14] == 16'hf000 ? {31'b0, sending} : memory[d_adr[ABITS-1:0]];
        m_ack <= m_asks & ~m_fails & ~rst;
        m_err <= m_asks & m_fails & ~rst;
        m_dat <= {memory[m_word | 1], memory[m_word]};
        for (k = 0; k < 4; k = k + 1) begin
            if (d_asks & d_we & ~d_adr[29] & d_sel[k])
                memory[d_adr[ABITS-1:0]][8*k+:8] <= d_dat_w[8*k+:8];
            if (m_asks & m_we & ~m_fails & m_sel[k])
                memory[m_word][8*k+:8] <= m_dat_w[8*k+:8];
            if (m_asks & m_we & ~m_fails & m_sel[k+4])
                memory[m_word|1][8*k+:8] <= m_dat_w[32+8*k+:8];
        end
    end

    // UART: 8 bits between a start bit and a stop bit, lowest first.
    wire writes = d_asks & d_we & (d_adr[29:14] == 16'hf000);
    reg [9:0] bits;
    reg [3:0] bits_left;
    reg [7:0] cycles_left;
    wire sending = bits_left != 0;
    assign tx = ~sending | bits[0];

    always @(posedge clk) begin
        if (writes & (d_adr[1:0] == 2'd0)) begin
            bits <= {1'b1, d_dat_w[7:0], 1'b0};
            bits_left <= 10;
            cycles_left <= BAUD_CYCLES - 1;
        end else if (sending) begin
            cycles_left <= cycles_left - 1;
            if (cycles_left == 0) begin
                cycles_left <= BAUD_CYCLES - 1;
                bits <= {1'b1, bits[9:1]};
                bits_left <= bits_left - 1;
            end
        end
        if (writes & (d_adr[1:0] == 2'd1)) fault <= d_dat_w;
        if (writes & (d_adr[1:0] == 2'd2)) begin
            finished <= 1;
            status <= d_dat_w;
        end
        if (rst) begin
            bits_left <= 0;
            fault <= 0;
            finished <= 0;
            status <= 0;
        end
    end
endmodule
