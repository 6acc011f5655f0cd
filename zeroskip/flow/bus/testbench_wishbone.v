    // Wishbone, a master of the registers.
    reg [REGISTER_BITS-1:0] address;
    reg [31:0] given;
    reg access = 0, writes = 0;
    assign clk_i = clk;
    assign rst_i = reset;
    assign wbs_cyc_i = access;
    assign wbs_stb_i = access;
    assign wbs_we_i = writes;
    assign wbs_adr_i = address;
    assign wbs_sel_i = 4'b1111;
    assign wbs_dat_i = given;

    reg [31:0] value;
    task reach(input [31:0] register);
        begin
            address <= register[REGISTER_BITS-1:0];
            access <= 1;
            @(posedge clk);
            while (!wbs_ack_o) @(posedge clk);
            access <= 0;
            value = wbs_dat_o;
            @(posedge clk);
        end
    endtask

    task write(input [31:0] register, input [31:0] what);
        begin
            given <= what;
            writes <= 1;
            reach(register);
        end
    endtask

    task read(input [31:0] register);
        begin
            writes <= 0;
            reach(register);
        end
    endtask

    // Wishbone, the memory: each word is acknowledged "latency" cycles after it is asked for, and
    // one that is not there with an error.
    reg [31:0] waited = 0;
    reg [DATA_BITS-1:0] word;
    reg ack = 0, err = 0;
    wire [ADDR_BITS-1:0] place_of = (wbm_adr_o - base[ADDR_BITS-1:0]) >> BEAT_SHIFT;
    wire asked = wbm_cyc_o && wbm_stb_o && !ack && !err;
    wire due = asked && waited + 1 >= latency;
    integer k;
    assign wbm_ack_i = ack;
    assign wbm_err_i = err;
    assign wbm_dat_i = word;

    always @(posedge clk) begin
        waited <= asked && !due ? waited + 1 : 0;
        ack <= due && place_of < MEMORY_BEATS;
        err <= due && place_of >= MEMORY_BEATS;
        word <= memory[place_of];
        if (due && wbm_we_o && place_of < MEMORY_BEATS)
            for (k = 0; k < DATA_BITS / 8; k = k + 1)
                if (wbm_sel_o[k]) memory[place_of][8*k+:8] <= wbm_dat_o[8*k+:8];
    end
